import type { Activation } from '../../../../shared/model.ts';
import type { DenseKernels } from '../kernels.ts';
import { derived, make, valuesOf } from './arrays.ts';
import { product } from './product.ts';

export const cpuDense: DenseKernels = {
  tileRows: (rows) => [rows],

  dense(x, [tile], bias, activation) {
    const [rows, inputs] = x.shape;
    const units = tile.shape[1];
    const start = bias && { data: valuesOf(bias), down: 0, along: 1 };
    const a = { data: valuesOf(x), down: inputs, along: 1 };
    const result = product(a, { data: valuesOf(tile), down: units, along: 1 }, start, [rows, units, inputs]);
    activate(result, activation);
    return make(result, rows, units);
  },

  denseInputGradient(dz, [tile], through) {
    const [rows, units] = dz.shape;
    const inputs = tile.shape[0];
    const a = { data: valuesOf(dz), down: units, along: 1 };
    const b = { data: valuesOf(tile), down: 1, along: units };
    return make(derived(product(a, b, null, [rows, inputs, units]), through), rows, inputs);
  },

  addKernelGradient(sum, factors, from, tileRows) {
    const units = factors[0].dz.shape[1];
    const total = sum ?? make(new Float32Array(tileRows * units), tileRows, units);
    const totals = valuesOf(total);
    for (const { x, dz } of factors) {
      const [rows, inputs] = x.shape;
      const a = { data: valuesOf(x).subarray(from), down: 1, along: inputs };
      const b = { data: valuesOf(dz), down: units, along: 1 };
      product(a, b, { data: totals, down: units, along: 1 }, [tileRows, units, rows], totals);
    }
    return total;
  },

  addColumnSums(sum, xs) {
    const columns = xs[0].shape[1];
    const total = sum ?? make(new Float32Array(columns), 1, columns);
    const totals = valuesOf(total);
    const sums = Float64Array.from(totals);
    for (const x of xs) {
      const values = valuesOf(x);
      for (let at = 0; at < values.length; at += columns)
        for (let column = 0; column < columns; column++) sums[column] += values[at + column];
    }
    totals.set(sums);
    return total;
  },
};

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
