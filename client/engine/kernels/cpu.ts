import { isKept } from '../../model/dropout.ts';
import { make, valuesOf } from './cpu/arrays.ts';
import { cpuDense } from './cpu/dense.ts';
import { cpuLoss } from './cpu/loss.ts';
import { cpuShapes } from './cpu/shapes.ts';
import { cpuWindows } from './cpu/windows.ts';
import type { Kernels } from './kernels.ts';

/**
 * Typed-array loops, and products in WebAssembly. They accumulate in double precision and change sums, weights and optimizer state in place, so
 * that training needs no transient copy of a parameter.
 */
export const cpuKernels: Kernels = {
  backend: 'cpu',
  ...cpuDense,
  ...cpuWindows,
  ...cpuShapes,
  ...cpuLoss,
  upload: make,
  // The array read is the tensor's own.
  download: (x) => valuesOf(x).slice(),

  elementwise(program, target, others, uniforms) {
    program.cpu([target, ...others].map(valuesOf), uniforms, target.shape[1]);
    return target;
  },

  columnSums(summand, inputs, uniforms) {
    const [rows, columns] = inputs[0].shape;
    const arrays = inputs.map(valuesOf);
    const sums = new Float64Array(columns);
    for (let row = 0, i = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, i++) {
        sums[column] += summand.cpu(arrays, i, column, row, uniforms);
      }
    }
    return make(Float32Array.from(sums), 1, columns);
  },

  rowSums(summand, inputs, uniforms) {
    const [rows, columns] = inputs[0].shape;
    const arrays = inputs.map(valuesOf);
    const result = new Float32Array(rows);
    for (let row = 0, i = 0; row < rows; row++) {
      let sum = 0;
      for (let column = 0; column < columns; column++, i++) {
        sum += summand.cpu(arrays, i, column, row, uniforms);
      }
      result[row] = sum;
    }
    return make(result, rows, 1);
  },

  rowHighest(x) {
    const [rows, columns] = x.shape;
    const result = new Float32Array(rows).fill(-Infinity);
    valuesOf(x).forEach((value, i) => {
      const row = Math.floor(i / columns);
      if (value > result[row]) result[row] = value;
    });
    return make(result, rows, 1);
  },

  dropout(x, { key, threshold, scale, firstSample, rowsPerSample, rowStride, indices }) {
    const [rows, columns] = x.shape;
    const values = valuesOf(x);
    const indexOf = valuesOf(indices);
    for (let row = 0, i = 0; row < rows; row++) {
      const sample = firstSample + Math.floor(row / rowsPerSample);
      const base = (row % rowsPerSample) * rowStride;
      for (let column = 0; column < columns; column++, i++) {
        values[i] = isKept(key, sample, base + indexOf[column], threshold) ? values[i] * scale : 0;
      }
    }
    return x;
  },
};
