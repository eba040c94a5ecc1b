import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../../shared/model.ts';
import type { Through } from '../kernels.ts';
import type { Window } from '../window.ts';
import { ACTIVATIONS } from './activations.ts';
import { clearPadding, halfOf, packed, run, runBack, type Shape } from './program.ts';

/**
 * Convolutions of stride 1 on images of even width, without writing out what windows see. A texel holds two neighbouring pixels by two
 * channels, so windows read pairs of pixels: a tap that is an odd number of pixels away takes the second of one pair and the first of
 * the next.
 */
export const isDirect = ({ width, outWidth, strides }: Window): boolean =>
  strides[0] === 1 && strides[1] === 1 && width % 2 === 0 && outWidth % 2 === 0;

/** activation(convolution + bias): x [pixels, channels], kernel [taps * channels, units], bias [1, units] or none -> [places, units]. */
export function convolve(
  x: Tensor2D,
  kernel: Tensor2D,
  bias: Tensor2D | null,
  activation: Activation,
  window: Window,
): Tensor2D {
  const [, channels] = x.shape;
  const { height, width, outHeight, outWidth, size, padding } = window;
  const shape: Shape = [(x.shape[0] / (height * width)) * outHeight * outWidth, kernel.shape[1]];
  const along = tapsAlong(size[1], -padding[1], 1);
  const taps = along.map(
    ({ tap, seen }) => `
            weights = rowsK(row + ${tap * channels}, own.y);
            seen = ${seen};
            result += seen.xxzz * weights.xyxy;
            result += seen.yyww * weights.zwzw;`,
  );
  const overChannels = `
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int iy = y + ky - ${padding[0]};
          if (iy < 0 || iy >= ${height}) continue;
          ${placesOf('X', along, `item * ${height} + iy`, width)}
          for (int c = 0; c < ${halfOf(channels)}; c++) {
            int row = ky * ${size[1] * channels} + 2 * c;
            vec4 weights;
            vec4 seen;
            ${readPairs('X', along, 'c')}
            ${taps.join('')}
          }
        }`;
  const body = `${placeOf(outHeight, outWidth)}
        ${channels === 1 ? overOneChannel(along, window) : overChannels}
        ${bias ? 'result += texelB(0, own.y).xyxy;' : ''}
        ${ACTIVATIONS[activation]}
        ${clearPadding(shape)}`;
  const names = ['X', 'K', ...(bias ? ['B'] : [])];
  const program = packed(names, shape, body, [], kernelRows(channels), { X: width / 2 });
  return run(program, [x, kernel, ...(bias ? [bias] : [])]);
}

/** Of one channel a texel of the kernel holds two taps: written out, each is read once. */
function overOneChannel(along: readonly Tap[], { height, width, size, padding }: Window): string {
  const weights = Array.from(
    { length: halfOf(size[0] * size[1]) },
    (_, i) => `vec4 weights${i} = texelK(${i}, own.y);`,
  );
  const lines = Array.from({ length: size[0] }, (_, ky) => {
    const taps = along.map(({ tap, seen }) => {
      const row = ky * size[1] + tap;
      return `result += (${seen}).xxzz * weights${row >> 1}.${row % 2 ? 'zwzw' : 'xyxy'};`;
    });
    return `{
          int iy = y + ${ky - padding[0]};
          if (iy >= 0 && iy < ${height}) {
            ${placesOf('X', along, `item * ${height} + iy`, width)}
            ${readPairs('X', along, '0')}
            ${taps.join('\n            ')}
          }
        }`;
  });
  return [...weights, ...lines].join('\n        ');
}

/** `vec4 rowsK(int r, int c)`: rows r and r + 1 of a kernel; with an odd number of channels a tap may begin within a texel. */
const kernelRows = (channels: number): string =>
  channels % 2 === 0
    ? 'vec4 rowsK(int r, int c) { return texelK(r >> 1, c); }'
    : `vec4 rowsK(int r, int c) {
        vec4 first = texelK(r >> 1, c);
        return (r & 1) == 0 ? first : vec4(first.zw, texelK((r >> 1) + 1, c).xy);
      }`;

/** dLoss/dx [pixels, channels] from dLoss/dOutput before bias and activation: dz [places, units]. */
export function convolveBack(
  dz: Tensor2D,
  kernel: Tensor2D,
  window: Window,
  through: Through | null,
): Tensor2D {
  const { height, width, outHeight, outWidth, size, padding } = window;
  const [, units] = dz.shape;
  const channels = kernel.shape[0] / (size[0] * size[1]);
  const shape: Shape = [(dz.shape[0] / (outHeight * outWidth)) * height * width, channels];
  const along = tapsAlong(size[1], padding[1], -1);
  const taps = along.map(
    ({ tap, seen }) => `
            weights = rowsK(row + ${tap * channels}, u);
            seen = ${seen};
            result += seen.xxzz * weights.xzxz;
            result += seen.yyww * weights.ywyw;`,
  );
  const body = `${placeOf(height, width)}
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int iy = y + ${padding[0]} - ky;
          if (iy < 0 || iy >= ${outHeight}) continue;
          int row = ky * ${size[1] * channels} + 2 * own.y;
          ${placesOf('D', along, `item * ${outHeight} + iy`, outWidth)}
          for (int u = 0; u < ${halfOf(units)}; u++) {
            vec4 weights;
            vec4 seen;
            ${readPairs('D', along, 'u')}
            ${taps.join('')}
          }
        }
        ${clearPadding(shape)}`;
  const program = packed(['D', 'K'], shape, body, [], kernelRows(channels), { D: outWidth / 2 });
  return runBack(program, [dz, kernel], through);
}

/** The pair of pixels that a texel of images is: its sample `item`, its row `y`, and which pair `x` of the row it is. */
const placeOf = (height: number, width: number): string => `
        int item = own.x / ${(height * width) / 2};
        int place = own.x - item * ${(height * width) / 2};
        int y = place / ${width / 2};
        int x = place - y * ${width / 2};`;

interface Tap {
  tap: number;
  /** The pairs of pixels that it needs, counted from the pair at hand. */
  pairs: number[];
  /** What it sees of them. */
  seen: string;
}

/** What each tap of a row of a window sees from a pair of pixels: tap k sees those `start + step * k` pixels further on. */
function tapsAlong(size: number, start: number, step: 1 | -1): Tap[] {
  return Array.from({ length: size }, (_, tap) => {
    const offset = start + step * tap;
    const pair = Math.floor(offset / 2);
    return offset === 2 * pair
      ? { tap, pairs: [pair], seen: nameOf(pair) }
      : { tap, pairs: [pair, pair + 1], seen: `vec4(${nameOf(pair)}.zw, ${nameOf(pair + 1)}.xy)` };
  });
}

const nameOf = (pair: number): string => (pair < 0 ? `before${-pair}` : `after${pair}`);

const pairsOf = (taps: readonly Tap[]): number[] => [...new Set(taps.flatMap(({ pairs }) => pairs))];

/** Where the pairs of pixels that the taps see lie in an image's row `y`, counted through all images, and whether that is in the image. */
function placesOf(matrix: string, taps: readonly Tap[], y: string, width: number): string {
  const all = pairsOf(taps).map((pair) => {
    const name = nameOf(pair);
    return `bool has_${name} = x + ${pair} >= 0 && x + ${pair} < ${width / 2};
          ivec2 at_${name} = step${matrix}(line, x + ${pair});`;
  });
  return `ivec2 line = run${matrix}((${y}) * ${width / 2});
          ${all.join('\n          ')}`;
}

/** Reads those pairs at a column of texels; zeros beyond the image. */
const readPairs = (matrix: string, taps: readonly Tap[], column: string): string =>
  pairsOf(taps)
    .map(nameOf)
    .map((name) => `vec4 ${name} = has_${name} ? at${matrix}(at_${name}, ${column}) : vec4(0.0);`)
    .join('\n            ');
