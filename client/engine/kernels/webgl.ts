import type { Kernels } from './kernels.ts';
import { programs } from './webgl-programs.ts';
import { webglDense } from './webgl/dense.ts';
import { webglDropout } from './webgl/dropout.ts';
import { replace, run } from './webgl/program.ts';
import { webglShapes } from './webgl/shapes.ts';
import { columnSums, elementwiseProgram, rowHighest, rowSums } from './webgl/sums.ts';
import { webglTransfer } from './webgl/transfer.ts';
import { webglWindows } from './webgl/windows.ts';

/** Programs on packed textures (2x2 numbers a texel): one pass each, tiles and all. */
export const webglKernels: Kernels = {
  backend: 'webgl',
  ...webglDense,
  ...webglWindows,
  ...webglShapes,
  ...webglTransfer,
  columnSums,
  rowSums,
  rowHighest,
  dropout: webglDropout,

  elementwise(program, target, others, uniforms) {
    return replace(target, () =>
      run(elementwiseProgram(program, target.shape), [target, ...others], uniforms),
    );
  },

  softmaxRows(logits, labels) {
    return run(programs.softmaxRows(logits.shape), [logits, labels]);
  },

  softmaxGradient(logits, labels, perRow) {
    return run(programs.softmaxGradient(logits.shape), [logits, labels, perRow]);
  },
};
