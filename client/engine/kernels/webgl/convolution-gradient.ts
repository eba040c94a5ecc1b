import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Window } from '../window.ts';
import { clearPadding, halfOf, packed, replace, run, type Program, type Shape } from './program.ts';

/** Pairs of pixels that one texel of the first pass sums over at most, about: long loops stall a device, and what they read should stay in a first cache. */
const PAIRS_AT_ONCE = 256;

/** sum + dLoss/dKernel [taps * channels, units]. Consumes `sum`; null stands for zeros. */
export function addConvolutionGradient(
  sum: Tensor2D | null,
  x: Tensor2D,
  dz: Tensor2D,
  window: Window,
): Tensor2D {
  const { height, width, outHeight, outWidth, size } = window;
  const channels = x.shape[1];
  const samples = x.shape[0] / (height * width);
  const each = Math.max(1, Math.floor(PAIRS_AT_ONCE / ((outHeight * outWidth) / 2)));
  // A texel holds two channels of a tap, or, where there is one channel, two taps of a line: runs of an odd length get an empty row.
  const length = channels === 1 ? size[1] : channels;
  const padded: Shape = [(size[0] * size[1] * channels * evenOf(length)) / length, dz.shape[1]];
  const groups: Groups = { count: Math.ceil(samples / each), each, samples, shape: padded };
  const program =
    channels === 1 ? tapPairGradients(groups, window) : channelPairGradients(channels, groups, window);
  const parts = run(program, [x, dz]);
  const shape: Shape = [size[0] * size[1] * channels, dz.shape[1]];
  const result = replace(sum, () =>
    run(sumOfGroups(shape, length, groups, sum !== null), sum ? [parts, sum] : [parts]),
  );
  parts.dispose();
  return result;
}

/** A kernel gradient for every group of samples, one below the other. */
interface Groups {
  count: number;
  /** Samples of a group. */
  each: number;
  samples: number;
  /** Of one group. */
  shape: Shape;
}

const evenOf = (extent: number): number => 2 * halfOf(extent);

function channelPairGradients(channels: number, groups: Groups, window: Window): Program {
  const { size, padding } = window;
  const pairs = halfOf(channels);
  const set = `int tap = row / ${pairs};
        int c = row - tap * ${pairs};
        int dy = tap / ${size[1]} - ${padding[0]};
        int dx = tap % ${size[1]} - ${padding[1]};
        bool isOdd = (dx & 1) == 1;
        int ahead = isOdd ? (dx >> 1) + 1 : dx >> 1;`;
  const visit = `vec4 seen = isOdd ? vec4(last.zw, next.xy) : next;
              result += seen.xxyy * d.xyxy;
              result += seen.zzww * d.zwzw;`;
  return groupGradients(groups, window, set, visit);
}

/** Of one channel: taps dx and dx + 1 see three pixels between them. */
function tapPairGradients(groups: Groups, window: Window): Program {
  const { size, padding } = window;
  const pairs = halfOf(size[1]);
  const set = `const int c = 0;
        int dy = row / ${pairs} - ${padding[0]};
        int dx = 2 * (row % ${pairs}) - ${padding[1]};
        int ahead = (dx >> 1) + 1;`;
  const isOdd = padding[1] % 2 === 1;
  const visit = `vec3 seen = vec3(${isOdd ? 'last.z, next.x, next.z' : 'last.x, last.z, next.x'});
              result.xy += seen.x * d.xy + seen.y * d.zw;
              result.zw += seen.y * d.xy + seen.z * d.zw;`;
  return groupGradients(groups, window, set, visit);
}

/**
 * Goes over the pairs of pixels of a group's images. `set` says where the row `row` of texels looks: line `dy` further down, column `c`,
 * pairs from `ahead` on; `visit` adds what `last` and `next`, two pairs in a row, and the gradient `d` there give.
 */
function groupGradients(
  { count, each, samples, shape: [rows, units] }: Groups,
  { height, width, outHeight, outWidth }: Window,
  set: string,
  visit: string,
): Program {
  const shape: Shape = [rows * count, units];
  const body = `int group = own.x / ${rows / 2};
        int row = own.x - group * ${rows / 2};
        ${set}
        // Windows see nothing of this row of the image before from; on from inside their second pair is beyond its edge.
        int from = max(0, -ahead);
        int inside = min(${outWidth / 2}, ${width / 2} - ahead);
        int end = min((group + 1) * ${each}, ${samples});
        for (int item = group * ${each}; item < end; item++) {
          for (int y = max(0, -dy); y < min(${outHeight}, ${height} - dy); y++) {
            ivec2 line = runX((item * ${height} + y + dy) * ${width / 2});
            ivec2 place = runD((item * ${outHeight} + y) * ${outWidth / 2});
            vec4 last = pairAt(line, from + ahead - 1, c);
            ivec2 atNext = stepX(line, from + ahead);
            ivec2 atGradient = stepD(place, from);
            for (int x = from; x < inside; x++) {
              vec4 next = atX(atNext, c);
              vec4 d = atD(atGradient, own.y);
              ${visit}
              last = next;
              atNext = stepX(atNext, 1);
              atGradient = stepD(atGradient, 1);
            }
            if (inside >= from && inside < ${outWidth / 2}) {
              vec4 next = vec4(0.0);
              vec4 d = atD(atGradient, own.y);
              ${visit}
            }
          }
        }
        ${clearPadding(shape)}`;
  // A window may begin before the image or end after it.
  const functions = `
      vec4 pairAt(ivec2 line, int x, int c) {
        return x >= 0 && x < ${width / 2} ? atX(stepX(line, x), c) : vec4(0.0);
      }`;
  return packed(['X', 'D'], shape, body, [], functions, { X: width / 2, D: outWidth / 2 });
}

/** The groups' gradients added up, without the empty rows that runs of an odd `length` were given. */
function sumOfGroups(
  shape: Shape,
  length: number,
  { count, shape: [rows] }: Groups,
  hasSum: boolean,
): Program {
  const isEven = length % 2 === 0;
  const rowOf = (row: string) => `${row} / ${length} * ${evenOf(length)} + ${row} % ${length}`;
  const rowsWanted = `int upper = ${rowOf('rc.x')};
        int lower = ${rowOf('(rc.x + 1)')};`;
  const add = isEven
    ? 'result += texelG(from + own.x, own.y);'
    : 'result += vec4(rowG(from, upper, own.y), rowG(from, lower, own.y));';
  const body = `${isEven ? '' : rowsWanted}
        for (int group = 0; group < ${count}; group++) {
          int from = group * ${rows / 2};
          ${add}
        }
        ${hasSum ? 'result += texelS(own.x, own.y);' : ''}
        ${clearPadding(shape)}`;
  const functions = `
      vec2 rowG(int from, int r, int c) {
        vec4 texel = texelG(from + (r >> 1), c);
        return (r & 1) == 0 ? texel.xy : texel.zw;
      }`;
  return packed(['G', ...(hasSum ? ['S'] : [])], shape, body, [], functions);
}
