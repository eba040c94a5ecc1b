import type { LossKernels } from '../kernels.ts';
import { make, valuesOf } from './arrays.ts';

export const cpuLoss: LossKernels = {
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
