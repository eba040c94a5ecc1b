import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../../shared/model.ts';
import type { Window } from '../window.ts';
import { ACTIVATIONS } from './activations.ts';
import { clearPadding, halfOf, packed, replace, run, type Program, type Shape } from './program.ts';

/**
 * Convolutions of stride 1 on images of even width and channels, without writing out what windows see. A texel holds two neighbouring
 * pixels by two channels, so windows read pairs of pixels: a tap that is an odd number of pixels away takes the second of one pair and
 * the first of the next. (With one channel half of every texel is empty, and writing out is quicker.)
 */
export const isDirect = ({ width, outWidth, strides }: Window, channels: number): boolean =>
  strides[0] === 1 && strides[1] === 1 && width % 2 === 0 && outWidth % 2 === 0 && channels % 2 === 0;

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
            weights = texelK((ky * ${size[1]} + ${tap}) * ${channels / 2} + c, own.y);
            seen = ${seen};
            result += seen.xxzz * weights.xyxy;
            result += seen.yyww * weights.zwzw;`,
  );
  const body = `${placeOf(outHeight, outWidth)}
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int iy = y + ky - ${padding[0]};
          if (iy < 0 || iy >= ${height}) continue;
          int line = (item * ${height} + iy) * ${width / 2};
          for (int c = 0; c < ${channels / 2}; c++) {
            vec4 weights;
            vec4 seen;
            ${readPairs('X', along, width, 'c')}
            ${taps.join('')}
          }
        }
        ${bias ? 'result += texelB(0, own.y).xyxy;' : ''}
        ${ACTIVATIONS[activation]}
        ${clearPadding(shape)}`;
  return run(packed(['X', 'K', ...(bias ? ['B'] : [])], shape, body), [x, kernel, ...(bias ? [bias] : [])]);
}

/** dLoss/dx [pixels, channels] from dLoss/dOutput before bias and activation: dz [places, units]. */
export function convolveBack(dz: Tensor2D, kernel: Tensor2D, window: Window): Tensor2D {
  const { height, width, outHeight, outWidth, size, padding } = window;
  const [, units] = dz.shape;
  const channels = kernel.shape[0] / (size[0] * size[1]);
  const shape: Shape = [(dz.shape[0] / (outHeight * outWidth)) * height * width, channels];
  const along = tapsAlong(size[1], padding[1], -1);
  const taps = along.map(
    ({ tap, seen }) => `
            weights = texelK((ky * ${size[1]} + ${tap}) * ${channels / 2} + own.y, u);
            seen = ${seen};
            result += seen.xxzz * weights.xzxz;
            result += seen.yyww * weights.ywyw;`,
  );
  const body = `${placeOf(height, width)}
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int iy = y + ${padding[0]} - ky;
          if (iy < 0 || iy >= ${outHeight}) continue;
          int line = (item * ${outHeight} + iy) * ${outWidth / 2};
          for (int u = 0; u < ${halfOf(units)}; u++) {
            vec4 weights;
            vec4 seen;
            ${readPairs('D', along, outWidth, 'u')}
            ${taps.join('')}
          }
        }
        ${clearPadding(shape)}`;
  return run(packed(['D', 'K'], shape, body), [dz, kernel]);
}

/** Pairs of pixels that one texel of the first pass sums over at most, about: long loops stall a device. */
const PAIRS_AT_ONCE = 1024;

/** sum + dLoss/dKernel [taps * channels, units]. Consumes `sum`; null stands for zeros. */
export function addConvolutionGradient(
  sum: Tensor2D | null,
  x: Tensor2D,
  dz: Tensor2D,
  window: Window,
): Tensor2D {
  const { height, width, outHeight, outWidth, size } = window;
  const samples = x.shape[0] / (height * width);
  const each = Math.max(1, Math.floor(PAIRS_AT_ONCE / ((outHeight * outWidth) / 2)));
  const shape: Shape = [size[0] * size[1] * x.shape[1], dz.shape[1]];
  const groups = run(groupGradients(x.shape[1], shape, samples, each, window), [x, dz]);
  const result = replace(sum, () =>
    run(sumOfGroups(shape, Math.ceil(samples / each), sum !== null), sum ? [groups, sum] : [groups]),
  );
  groups.dispose();
  return result;
}

/** A kernel gradient for every group of samples, one below the other. */
function groupGradients(
  channels: number,
  [rows, units]: Shape,
  samples: number,
  each: number,
  { height, width, outHeight, outWidth, size, padding }: Window,
): Program {
  const shape: Shape = [rows * Math.ceil(samples / each), units];
  const body = `int group = own.x / ${rows / 2};
        int row = own.x - group * ${rows / 2};
        int tap = row / ${channels / 2};
        int c = row - tap * ${channels / 2};
        int dy = tap / ${size[1]} - ${padding[0]};
        int dx = tap % ${size[1]} - ${padding[1]};
        bool isOdd = (dx & 1) == 1;
        int from = dx >> 1;
        int ahead = isOdd ? from + 1 : from;
        int end = min((group + 1) * ${each}, ${samples});
        for (int item = group * ${each}; item < end; item++) {
          for (int y = max(0, -dy); y < min(${outHeight}, ${height} - dy); y++) {
            int line = (item * ${height} + y + dy) * ${width / 2};
            int place = (item * ${outHeight} + y) * ${outWidth / 2};
            vec4 last = isOdd ? pairAt(line, from, c) : vec4(0.0);
            for (int x = 0; x < ${outWidth / 2}; x++) {
              vec4 next = pairAt(line, x + ahead, c);
              vec4 seen = isOdd ? vec4(last.zw, next.xy) : next;
              last = next;
              vec4 d = texelD(place + x, own.y);
              result += seen.xxyy * d.xyxy;
              result += seen.zzww * d.zwzw;
            }
          }
        }
        ${clearPadding(shape)}`;
  // A window may begin before the image or end after it.
  const functions = `
      vec4 pairAt(int line, int x, int c) {
        return x >= 0 && x < ${width / 2} ? texelX(line + x, c) : vec4(0.0);
      }`;
  return packed(['X', 'D'], shape, body, [], functions);
}

function sumOfGroups(shape: Shape, groups: number, hasSum: boolean): Program {
  const body = `for (int group = 0; group < ${groups}; group++) result += texelG(group * ${shape[0] / 2} + own.x, own.y);
        ${hasSum ? 'result += texelS(own.x, own.y);' : ''}`;
  return packed(['G', ...(hasSum ? ['S'] : [])], shape, body);
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

/** Reads every pair of pixels that the taps see at a column of texels; zeros beyond the image. */
function readPairs(matrix: string, taps: readonly Tap[], width: number, column: string): string {
  const all = new Set(taps.flatMap(({ pairs }) => pairs));
  return [...all]
    .map((pair) => {
      const isInside = `x + ${pair} >= 0 && x + ${pair} < ${width / 2}`;
      return `vec4 ${nameOf(pair)} = ${isInside} ? texel${matrix}(line + x + ${pair}, ${column}) : vec4(0.0);`;
    })
    .join('\n            ');
}
