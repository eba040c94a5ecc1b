import type { Tensor2D } from '@tensorflow/tfjs-core';
import { byPatches, type PatchKernels } from '../by-patches.ts';
import type { WindowKernels } from '../kernels.ts';
import type { Window } from '../window.ts';
import { derived, make, valuesOf } from './arrays.ts';
import { cpuDense } from './dense.ts';

/**
 * Calls back for every pair of a place of the window and a row of the image that it sees there: `tap` is which of the
 * window's rows by columns that is.
 */
function eachTap(
  rows: number,
  window: Window,
  visit: (place: number, pixel: number, tap: number) => void,
): void {
  const { height, width, outHeight, outWidth, size, strides, padding } = window;
  let place = 0;
  for (let row = 0; row < rows; row++) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * strides[0] - padding[0];
      for (let x = 0; x < outWidth; x++, place++) {
        const left = x * strides[1] - padding[1];
        const fromX = Math.max(0, -left);
        const toX = Math.min(size[1], width - left);
        const toY = Math.min(size[0], height - top);
        for (let ky = Math.max(0, -top); ky < toY; ky++) {
          const line = (row * height + top + ky) * width + left;
          for (let kx = fromX; kx < toX; kx++) visit(place, line + kx, ky * size[1] + kx);
        }
      }
    }
  }
}

const samplesBefore = (x: Tensor2D, { height, width }: Window): number => x.shape[0] / (height * width);
const samplesAfter = (y: Tensor2D, { outHeight, outWidth }: Window): number =>
  y.shape[0] / (outHeight * outWidth);
const placesOf = ({ outHeight, outWidth }: Window): number => outHeight * outWidth;
const pixelsOf = ({ height, width }: Window): number => height * width;
const tapsOf = ({ size }: Window): number => size[0] * size[1];

/** How many of a window's numbers lie inside the image, for each place. */
function countsOf(window: Window): Float64Array {
  const counts = new Float64Array(placesOf(window));
  eachTap(1, window, (place) => counts[place]++);
  return counts;
}

const cpuPatches: PatchKernels = {
  patches(x, window) {
    const channels = x.shape[1];
    const rows = samplesBefore(x, window);
    const width = tapsOf(window) * channels;
    const xs = valuesOf(x);
    const result = new Float32Array(rows * placesOf(window) * width);
    eachTap(rows, window, (place, pixel, tap) => {
      const to = place * width + tap * channels;
      const from = pixel * channels;
      for (let c = 0; c < channels; c++) result[to + c] = xs[from + c];
    });
    return make(result, rows * placesOf(window), width);
  },

  fromPatches(dp, window, through) {
    const width = dp.shape[1];
    const channels = width / tapsOf(window);
    const rows = samplesAfter(dp, window);
    const patches = valuesOf(dp);
    const sums = new Float64Array(rows * pixelsOf(window) * channels);
    eachTap(rows, window, (place, pixel, tap) => {
      const from = place * width + tap * channels;
      const to = pixel * channels;
      for (let c = 0; c < channels; c++) sums[to + c] += patches[from + c];
    });
    return make(derived(Float32Array.from(sums), through), rows * pixelsOf(window), channels);
  },
};

export const cpuWindows: WindowKernels = {
  ...byPatches(cpuPatches, cpuDense),

  depthwise(x, kernel, window) {
    const channels = x.shape[1];
    const rows = samplesBefore(x, window);
    const weights = valuesOf(kernel);
    const outputs = weights.length / tapsOf(window);
    const multiplier = outputs / channels;
    const xs = valuesOf(x);
    const sums = new Float64Array(rows * placesOf(window) * outputs);
    eachTap(rows, window, (place, pixel, tap) => {
      for (let c = 0, o = 0; c < channels; c++) {
        const value = xs[pixel * channels + c];
        for (let j = 0; j < multiplier; j++, o++)
          sums[place * outputs + o] += value * weights[tap * outputs + o];
      }
    });
    return make(Float32Array.from(sums), rows * placesOf(window), outputs);
  },

  depthwiseInputGradient(dy, kernel, window, multiplier) {
    const outputs = dy.shape[1];
    const channels = outputs / multiplier;
    const rows = samplesAfter(dy, window);
    const weights = valuesOf(kernel);
    const gradients = valuesOf(dy);
    const sums = new Float64Array(rows * pixelsOf(window) * channels);
    eachTap(rows, window, (place, pixel, tap) => {
      for (let o = 0; o < outputs; o++) {
        const c = Math.floor(o / multiplier);
        sums[pixel * channels + c] += gradients[place * outputs + o] * weights[tap * outputs + o];
      }
    });
    return make(Float32Array.from(sums), rows * pixelsOf(window), channels);
  },

  depthwiseKernelGradients(x, dy, window) {
    const channels = x.shape[1];
    const outputs = dy.shape[1];
    const multiplier = outputs / channels;
    const rows = samplesBefore(x, window);
    const width = tapsOf(window) * outputs;
    const xs = valuesOf(x);
    const gradients = valuesOf(dy);
    const sums = new Float64Array(rows * width);
    const places = placesOf(window);
    eachTap(rows, window, (place, pixel, tap) => {
      const at = Math.floor(place / places) * width + tap * outputs;
      for (let c = 0, o = 0; c < channels; c++) {
        const value = xs[pixel * channels + c];
        for (let j = 0; j < multiplier; j++, o++) sums[at + o] += value * gradients[place * outputs + o];
      }
    });
    return make(Float32Array.from(sums), rows, width);
  },

  maxPool(x, window) {
    const channels = x.shape[1];
    const rows = samplesBefore(x, window);
    const xs = valuesOf(x);
    const result = new Float32Array(rows * placesOf(window) * channels).fill(-Infinity);
    eachTap(rows, window, (place, pixel) => {
      const to = place * channels;
      const from = pixel * channels;
      for (let c = 0; c < channels; c++) if (xs[from + c] > result[to + c]) result[to + c] = xs[from + c];
    });
    return make(result, rows * placesOf(window), channels);
  },

  maxPoolGradient(dy, x, y, window, through) {
    const channels = x.shape[1];
    const rows = samplesBefore(x, window);
    const xs = valuesOf(x);
    const ys = valuesOf(y);
    const gradients = valuesOf(dy);
    const given = new Uint8Array(ys.length);
    const sums = new Float64Array(xs.length);
    eachTap(rows, window, (place, pixel) => {
      const at = place * channels;
      const from = pixel * channels;
      for (let c = 0; c < channels; c++) {
        if (given[at + c] || xs[from + c] !== ys[at + c]) continue;
        given[at + c] = 1;
        sums[from + c] += gradients[at + c];
      }
    });
    return make(derived(Float32Array.from(sums), through), x.shape[0], channels);
  },

  averagePool(x, window) {
    const channels = x.shape[1];
    const rows = samplesBefore(x, window);
    const xs = valuesOf(x);
    const counts = countsOf(window);
    const sums = new Float64Array(rows * counts.length * channels);
    eachTap(rows, window, (place, pixel) => {
      for (let c = 0; c < channels; c++) sums[place * channels + c] += xs[pixel * channels + c];
    });
    const result = Float32Array.from(
      sums,
      (sum, i) => sum / counts[Math.floor(i / channels) % counts.length],
    );
    return make(result, rows * counts.length, channels);
  },

  averagePoolGradient(dy, window) {
    const channels = dy.shape[1];
    const rows = samplesAfter(dy, window);
    const counts = countsOf(window);
    const gradients = valuesOf(dy);
    const sums = new Float64Array(rows * pixelsOf(window) * channels);
    eachTap(rows, window, (place, pixel) => {
      const count = counts[place % counts.length];
      for (let c = 0; c < channels; c++)
        sums[pixel * channels + c] += gradients[place * channels + c] / count;
    });
    return make(Float32Array.from(sums), rows * pixelsOf(window), channels);
  },
};
