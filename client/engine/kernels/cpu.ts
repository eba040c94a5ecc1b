import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { Kernels } from './kernels.ts';

/** The array behind a tensor of the CPU backend: the backend's own, so writing to it changes the tensor. */
const valuesOf = (tensor: Tensor2D): Float32Array => tensor.dataSync<'float32'>();

const make = (values: Float32Array, rows: number, columns: number): Tensor2D =>
  tensor2d(values, [rows, columns], 'float32');

/**
 * Typed-array loops. They accumulate in double precision and change sums, weights and optimizer state in place, so
 * that training needs no transient copy of a parameter.
 */
export const cpuKernels: Kernels = {
  backend: 'cpu',

  tileRows: (rows) => [rows],

  dense(x, [tile], bias, activation) {
    const [rows, inputs] = x.shape;
    const units = bias.shape[1];
    const xs = valuesOf(x);
    const weights = valuesOf(tile);
    const biases = valuesOf(bias);
    const result = new Float32Array(rows * units);
    const sums = new Float64Array(units);
    for (let row = 0; row < rows; row++) {
      sums.set(biases);
      for (let input = 0; input < inputs; input++) {
        addScaled(sums, weights, input * units, xs[row * inputs + input]);
      }
      result.set(sums, row * units);
    }
    activate(result, activation);
    return make(result, rows, units);
  },

  denseInputGradient(dz, [tile]) {
    const [rows, units] = dz.shape;
    const inputs = tile.shape[0];
    const gradients = valuesOf(dz);
    const weights = valuesOf(tile);
    const result = new Float32Array(rows * inputs);
    for (let row = 0; row < rows; row++) {
      for (let input = 0; input < inputs; input++) {
        let sum = 0;
        for (let unit = 0; unit < units; unit++) {
          sum += gradients[row * units + unit] * weights[input * units + unit];
        }
        result[row * inputs + input] = sum;
      }
    }
    return make(result, rows, inputs);
  },

  addKernelGradient(sum, x, dz, from, tileRows) {
    const [rows, inputs] = x.shape;
    const units = dz.shape[1];
    const total = sum ?? make(new Float32Array(tileRows * units), tileRows, units);
    const xs = valuesOf(x);
    const gradients = valuesOf(dz);
    const totals = valuesOf(total);
    const sums = new Float64Array(units);
    for (let input = 0; input < tileRows; input++) {
      const at = input * units;
      for (let unit = 0; unit < units; unit++) sums[unit] = totals[at + unit];
      for (let row = 0; row < rows; row++) {
        addScaled(sums, gradients, row * units, xs[row * inputs + from + input]);
      }
      totals.set(sums, at);
    }
    return total;
  },

  addColumnSums(sum, x) {
    const [rows, columns] = x.shape;
    const total = sum ?? make(new Float32Array(columns), 1, columns);
    const xs = valuesOf(x);
    const totals = valuesOf(total);
    const sums = Float64Array.from(totals);
    for (let row = 0; row < rows; row++) addScaled(sums, xs, row * columns, 1);
    totals.set(sums);
    return total;
  },

  elementwise(program, target, others, uniforms) {
    program.cpu([target, ...others].map(valuesOf), uniforms);
    return target;
  },

  softmaxRows(logits, labels) {
    const [rows, classes] = logits.shape;
    const scores = valuesOf(logits);
    const truths = valuesOf(labels);
    const result = new Float32Array(rows * 2);
    for (let row = 0; row < rows; row++) {
      const own = scores.subarray(row * classes, (row + 1) * classes);
      let highest = 0;
      for (let c = 1; c < classes; c++) if (own[c] > own[highest]) highest = c;
      let sum = 0;
      for (let c = 0; c < classes; c++) sum += Math.exp(own[c] - own[highest]);
      result[row * 2] = Math.log(sum) + own[highest] - own[truths[row]];
      result[row * 2 + 1] = highest === truths[row] ? 1 : 0;
    }
    return make(result, rows, 2);
  },

  softmaxGradient(logits, labels) {
    const [rows, classes] = logits.shape;
    const scores = valuesOf(logits);
    const truths = valuesOf(labels);
    const result = new Float32Array(rows * classes);
    for (let row = 0; row < rows; row++) {
      const own = scores.subarray(row * classes, (row + 1) * classes);
      const highest = own.reduce((a, b) => Math.max(a, b), -Infinity);
      let sum = 0;
      for (let c = 0; c < classes; c++) sum += Math.exp(own[c] - highest);
      for (let c = 0; c < classes; c++) {
        const target = c === truths[row] ? 1 : 0;
        result[row * classes + c] = (Math.exp(own[c] - highest) / sum - target) / rows;
      }
    }
    return make(result, rows, classes);
  },
};

/** sums += factor * values[at ..]. */
function addScaled(sums: Float64Array, values: Float32Array, at: number, factor: number): void {
  if (factor === 0) return;
  for (let i = 0; i < sums.length; i++) sums[i] += factor * values[at + i];
}

function activate(values: Float32Array, activation: Activation): void {
  switch (activation) {
    case 'linear':
      return;
    case 'relu':
      for (let i = 0; i < values.length; i++) if (values[i] < 0) values[i] = 0;
      return;
    case 'tanh':
      for (let i = 0; i < values.length; i++) values[i] = Math.tanh(values[i]);
      return;
    case 'sigmoid':
      for (let i = 0; i < values.length; i++) values[i] = 1 / (1 + Math.exp(-values[i]));
  }
}
