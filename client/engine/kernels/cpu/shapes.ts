import type { ShapeKernels } from '../kernels.ts';
import { make, valuesOf } from './arrays.ts';

export const cpuShapes: ShapeKernels = {
  copy: (x) => make(valuesOf(x).slice(), x.shape[0], x.shape[1]),

  reshape(x, rows, columns) {
    const values = valuesOf(x);
    x.dispose();
    return make(values, rows, columns);
  },

  takeColumns(x, { width, start, count }) {
    const values = valuesOf(x);
    const runs = values.length / width;
    const result = new Float32Array(runs * count);
    for (let run = 0; run < runs; run++) {
      const from = run * width + start;
      result.set(values.subarray(from, from + count), run * count);
    }
    return make(result, x.shape[0], (x.shape[1] / width) * count);
  },

  putColumns(x, { width, start, count }) {
    const values = valuesOf(x);
    const runs = values.length / count;
    const result = new Float32Array(runs * width);
    for (let run = 0; run < runs; run++) {
      result.set(values.subarray(run * count, (run + 1) * count), run * width + start);
    }
    return make(result, x.shape[0], (x.shape[1] / count) * width);
  },

  unitProducts(h, g, { rows, outer, units, inner }) {
    const hs = valuesOf(h);
    const gs = valuesOf(g);
    const sums = new Float64Array(rows * units);
    let i = 0;
    for (let row = 0; row < rows; row++) {
      for (let o = 0; o < outer; o++) {
        for (let unit = 0; unit < units; unit++) {
          for (let q = 0; q < inner; q++, i++) sums[row * units + unit] += hs[i] * gs[i];
        }
      }
    }
    return make(Float32Array.from(sums, Math.abs), rows, units);
  },
};
