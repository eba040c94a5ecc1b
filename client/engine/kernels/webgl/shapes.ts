import { clone, reshape } from '@tensorflow/tfjs-core';
import type { ShapeKernels } from '../kernels.ts';
import { perEntry, run, type Shape } from './program.ts';

export const webglShapes: ShapeKernels = {
  // Textures never change: a second handle on one is as good as a copy.
  copy: (x) => clone(x),

  reshape(x, rows, columns) {
    const result = reshape(x, [rows, columns]);
    x.dispose();
    return result as typeof x;
  },

  takeColumns(x, { width, start, count }) {
    const shape: Shape = [x.shape[0], (x.shape[1] / width) * count];
    return run(
      perEntry(['X'], shape, `return atX(r, (c / ${count}) * ${width} + ${start} + c % ${count});`),
      [x],
    );
  },

  putColumns(x, { width, start, count }) {
    const shape: Shape = [x.shape[0], (x.shape[1] / count) * width];
    const entry = `int within = c % ${width} - ${start};
        if (within < 0 || within >= ${count}) return 0.0;
        return atX(r, (c / ${width}) * ${count} + within);`;
    return run(perEntry(['X'], shape, entry), [x]);
  },

  unitProducts(h, g, { rows, outer, units, inner }) {
    const columns = h.shape[1];
    const entry = `float sum = 0.0;
        for (int o = 0; o < ${outer}; o++) {
          for (int q = 0; q < ${inner}; q++) {
            int index = r * ${outer * units * inner} + (o * ${units} + c) * ${inner} + q;
            int row = index / ${columns};
            int column = index - row * ${columns};
            sum += atH(row, column) * atG(row, column);
          }
        }
        return abs(sum);`;
    return run(perEntry(['H', 'G'], [rows, units], entry), [h, g]);
  },
};
