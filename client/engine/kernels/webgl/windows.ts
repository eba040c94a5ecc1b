import { byPatches, type Convolutions, type PatchKernels } from '../by-patches.ts';
import type { WindowKernels } from '../kernels.ts';
import type { Window } from '../window.ts';
import { addConvolutionGradient } from './convolution-gradient.ts';
import { convolve, convolveBack, isDirect } from './convolution.ts';
import { webglDense } from './dense.ts';
import { clearPadding, packed, perEntry, run, runBack, type Program, type Shape } from './program.ts';

const places = ({ outHeight, outWidth }: Window): number => outHeight * outWidth;
const pixels = ({ height, width }: Window): number => height * width;
const taps = ({ size }: Window): number => size[0] * size[1];

/** Row r of an output: its sample, and the corner of its window in the image. */
const atPlace = ({ outWidth, strides, padding }: Window, count: number): string => `
        int item = r / ${count};
        int place = r - item * ${count};
        int top = (place / ${outWidth}) * ${strides[0]} - ${padding[0]};
        int left = (place % ${outWidth}) * ${strides[1]} - ${padding[1]};`;

/** Runs `visit` for every tap (ky, kx) whose number lies in the image, as `pixel`. */
const eachTap = ({ height, width, size }: Window, visit: string): string => `
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int iy = top + ky;
          if (iy < 0 || iy >= ${height}) continue;
          for (int kx = 0; kx < ${size[1]}; kx++) {
            int ix = left + kx;
            if (ix < 0 || ix >= ${width}) continue;
            int pixel = (item * ${height} + iy) * ${width} + ix;
            int tap = ky * ${size[1]} + kx;
            ${visit}
          }
        }`;

/** Row r of an image: runs `visit` for every place whose window sees it, as `seen`, at its tap (ky, kx). */
const eachPlace = (
  { height, width, outHeight, outWidth, size, strides, padding }: Window,
  visit: string,
): string => `
        int item = r / ${height * width};
        int own = r - item * ${height * width};
        int iy = own / ${width} + ${padding[0]};
        int ix = own % ${width} + ${padding[1]};
        for (int ky = 0; ky < ${size[0]}; ky++) {
          int ty = iy - ky;
          if (ty < 0 || ty % ${strides[0]} != 0 || ty / ${strides[0]} >= ${outHeight}) continue;
          for (int kx = 0; kx < ${size[1]}; kx++) {
            int tx = ix - kx;
            if (tx < 0 || tx % ${strides[1]} != 0 || tx / ${strides[1]} >= ${outWidth}) continue;
            int seen = (item * ${outHeight} + ty / ${strides[0]}) * ${outWidth} + tx / ${strides[1]};
            int tap = ky * ${size[1]} + kx;
            ${visit}
          }
        }`;

const within = (from: string, window: number, extent: number): string =>
  `(min(${from} + ${window}, ${extent}) - max(${from}, 0))`;

/** How many numbers of a window lie in the image, for the corner (top, left). */
const countAt = ({ height, width, size }: Window, top: string, left: string): string =>
  `float(${within(top, size[0], height)} * ${within(left, size[1], width)})`;

const webglPatches: PatchKernels = {
  patches(x, window) {
    const channels = x.shape[1];
    const shape: Shape = [(x.shape[0] / pixels(window)) * places(window), taps(window) * channels];
    const { height, width, size } = window;
    const entry = `${atPlace(window, places(window))}
        int tap = c / ${channels};
        int iy = top + tap / ${size[1]};
        int ix = left + tap % ${size[1]};
        if (iy < 0 || iy >= ${height} || ix < 0 || ix >= ${width}) return 0.0;
        return atX((item * ${height} + iy) * ${width} + ix, c - tap * ${channels});`;
    return run(perEntry(['X'], shape, entry), [x]);
  },

  fromPatches(dp, window, through) {
    const channels = dp.shape[1] / taps(window);
    const shape: Shape = [(dp.shape[0] / places(window)) * pixels(window), channels];
    const entry = `float sum = 0.0;
        ${eachPlace(window, `sum += atD(seen, tap * ${channels} + c);`)}
        return sum;`;
    return runBack(perEntry(['D'], shape, entry), [dp], through);
  },
};

const direct: Convolutions = { convolve, convolveBack, addConvolutionGradient };
const anyConvolution = byPatches(webglPatches, webglDense);

const convolutionFor = (window: Window): Convolutions => (isDirect(window) ? direct : anyConvolution);

/** Two by two pixels become one, none is left over. */
const isQuartering = ({ height, width, size, strides, padding }: Window): boolean =>
  [...size, ...strides].every((extent) => extent === 2) &&
  height % 2 === 0 &&
  width % 2 === 0 &&
  padding.every((before) => before === 0);

/** The commonest max pooling: a texel holds one row of a window. */
function quarterMax(shape: Shape, { height, width, outHeight, outWidth }: Window): Program {
  const highest = (lanes: string, row: string) => `
        {
          int item = ${row} / ${outHeight * outWidth};
          int place = ${row} - item * ${outHeight * outWidth};
          int y = place / ${outWidth};
          int upper = (item * ${height} + 2 * y) * ${width / 2} + place - y * ${outWidth};
          vec4 columns = max(texelX(upper, own.y), texelX(upper + ${width / 2}, own.y));
          result.${lanes} = max(columns.xy, columns.zw);
        }`;
  const body = `${highest('xy', 'rc.x')}
        ${highest('zw', '(rc.x + 1)')}
        ${clearPadding(shape)}`;
  return packed(['X'], shape, body);
}

/** The backward of the commonest max pooling: a texel holds one row of a window, so two of them tell which number was the first highest. */
function quarterGradient(shape: Shape, { height, width, outHeight, outWidth }: Window): Program {
  const body = `int item = own.x / ${(height * width) / 2};
        int place = own.x - item * ${(height * width) / 2};
        int y = place / ${width / 2};
        int seen = (item * ${outHeight} + y / 2) * ${outWidth} + place - y * ${width / 2};
        bool isLower = (y & 1) == 1;
        vec4 upper = texelX(isLower ? own.x - ${width / 2} : own.x, own.y);
        vec4 lower = texelX(isLower ? own.x : own.x + ${width / 2}, own.y);
        vec4 pair = texelD(seen >> 1, own.y);
        vec2 d = (seen & 1) == 0 ? pair.xy : pair.zw;
        vec4 columns = max(upper, lower);
        vec2 highest = max(columns.xy, columns.zw);
        vec2 first = vec2(equal(upper.xy, highest));
        vec2 second = (1.0 - first) * vec2(equal(upper.zw, highest));
        vec2 third = (1.0 - first - second) * vec2(equal(lower.xy, highest));
        vec2 fourth = 1.0 - first - second - third;
        result = isLower ? vec4(third * d, fourth * d) : vec4(first * d, second * d);
        ${clearPadding(shape)}`;
  return packed(['D', 'X'], shape, body);
}

/** Convolutions and poolings; but for the commonest ones, each number of the result by itself. */
export const webglWindows: WindowKernels = {
  convolve(x, kernel, bias, activation, window) {
    return convolutionFor(window).convolve(x, kernel, bias, activation, window);
  },

  convolveBack(dz, kernel, window, through) {
    return convolutionFor(window).convolveBack(dz, kernel, window, through);
  },

  addConvolutionGradient(sum, x, dz, window) {
    return convolutionFor(window).addConvolutionGradient(sum, x, dz, window);
  },

  depthwise(x, kernel, window) {
    const outputs = kernel.size / taps(window);
    const multiplier = outputs / x.shape[1];
    const shape: Shape = [(x.shape[0] / pixels(window)) * places(window), outputs];
    const entry = `${atPlace(window, places(window))}
        float sum = 0.0;
        ${eachTap(window, `sum += atX(pixel, c / ${multiplier}) * atK(0, tap * ${outputs} + c);`)}
        return sum;`;
    return run(perEntry(['X', 'K'], shape, entry), [x, kernel]);
  },

  depthwiseInputGradient(dy, kernel, window, multiplier) {
    const outputs = dy.shape[1];
    const shape: Shape = [(dy.shape[0] / places(window)) * pixels(window), outputs / multiplier];
    const visit = `for (int j = 0; j < ${multiplier}; j++) {
              int o = c * ${multiplier} + j;
              sum += atD(seen, o) * atK(0, tap * ${outputs} + o);
            }`;
    const entry = `float sum = 0.0;
        ${eachPlace(window, visit)}
        return sum;`;
    return run(perEntry(['D', 'K'], shape, entry), [dy, kernel]);
  },

  depthwiseKernelGradients(x, dy, window) {
    const outputs = dy.shape[1];
    const multiplier = outputs / x.shape[1];
    const { height, width, outHeight, outWidth, size, strides, padding } = window;
    const rows = x.shape[0] / pixels(window);
    const entry = `int tap = c / ${outputs};
        int o = c - tap * ${outputs};
        float sum = 0.0;
        for (int y = 0; y < ${outHeight}; y++) {
          int iy = y * ${strides[0]} - ${padding[0]} + tap / ${size[1]};
          if (iy < 0 || iy >= ${height}) continue;
          for (int x = 0; x < ${outWidth}; x++) {
            int ix = x * ${strides[1]} - ${padding[1]} + tap % ${size[1]};
            if (ix < 0 || ix >= ${width}) continue;
            sum += atX((r * ${height} + iy) * ${width} + ix, o / ${multiplier}) * atD((r * ${outHeight} + y) * ${outWidth} + x, o);
          }
        }
        return sum;`;
    return run(perEntry(['X', 'D'], [rows, taps(window) * outputs], entry), [x, dy]);
  },

  maxPool(x, window) {
    const shape: Shape = [(x.shape[0] / pixels(window)) * places(window), x.shape[1]];
    if (isQuartering(window)) return run(quarterMax(shape, window), [x]);
    const entry = `${atPlace(window, places(window))}
        float highest = -3.4e38;
        ${eachTap(window, 'highest = max(highest, atX(pixel, c));')}
        return highest;`;
    return run(perEntry(['X'], shape, entry), [x]);
  },

  maxPoolGradient(dy, x, y, window, through) {
    if (isQuartering(window)) return runBack(quarterGradient(x.shape, window), [dy, x], through);
    const { height, width, size, outWidth, strides, padding } = window;
    // An earlier number of the same window that is as high takes the gradient.
    const isTaken = `
      bool isTaken(int item, int seen, int tap, int c, float highest) {
        int place = seen % ${places(window)};
        int top = (place / ${outWidth}) * ${strides[0]} - ${padding[0]};
        int left = (place % ${outWidth}) * ${strides[1]} - ${padding[1]};
        for (int earlier = 0; earlier < tap; earlier++) {
          int iy = top + earlier / ${size[1]};
          int ix = left + earlier % ${size[1]};
          if (iy < 0 || iy >= ${height} || ix < 0 || ix >= ${width}) continue;
          if (atX((item * ${height} + iy) * ${width} + ix, c) == highest) return true;
        }
        return false;
      }`;
    const visit = `float highest = atY(seen, c);
            if (mine == highest && !isTaken(item, seen, tap, c, highest)) sum += atD(seen, c);`;
    const entry = `float sum = 0.0;
        float mine = atX(r, c);
        ${eachPlace(window, visit)}
        return sum;`;
    return runBack(perEntry(['D', 'X', 'Y'], x.shape, entry, [], isTaken), [dy, x, y], through);
  },

  averagePool(x, window) {
    const shape: Shape = [(x.shape[0] / pixels(window)) * places(window), x.shape[1]];
    const entry = `${atPlace(window, places(window))}
        float sum = 0.0;
        ${eachTap(window, 'sum += atX(pixel, c);')}
        return sum / ${countAt(window, 'top', 'left')};`;
    return run(perEntry(['X'], shape, entry), [x]);
  },

  averagePoolGradient(dy, window) {
    const { padding } = window;
    const shape: Shape = [(dy.shape[0] / places(window)) * pixels(window), dy.shape[1]];
    const count = countAt(window, `(ty - ${padding[0]})`, `(tx - ${padding[1]})`);
    const entry = `float sum = 0.0;
        ${eachPlace(window, `sum += atD(seen, c) / ${count};`)}
        return sum;`;
    return run(perEntry(['D'], shape, entry), [dy]);
  },
};
