import type { Kernels } from './kernels.ts';
import { programs, tileTexture } from './webgl-programs.ts';
import { webglDropout } from './webgl/dropout.ts';
import { replace, run } from './webgl/program.ts';
import { webglShapes } from './webgl/shapes.ts';
import { columnSums, elementwiseProgram, rowHighest, rowSums } from './webgl/sums.ts';
import { webglWindows } from './webgl/windows.ts';

/** A kernel is cut into this many tiles: the transient of an update is one of them. Textures bound at once limit it. */
const TILES = 4;
/** Below this many bytes a tile would save less than its extra draw call costs. */
const LEAST_TILE_BYTES = 4096;

/** Programs on packed textures (2x2 numbers a texel): one pass each, tiles and all. */
export const webglKernels: Kernels = {
  backend: 'webgl',
  ...webglWindows,
  ...webglShapes,
  columnSums,
  rowSums,
  rowHighest,
  dropout: webglDropout,

  tileRows(rows, columns) {
    const most = Math.min(TILES, Math.floor((rows * columns * 4) / LEAST_TILE_BYTES));
    // Tiles start at even rows: a texel holds two.
    const each = Math.max(2, 2 * Math.ceil(rows / (2 * Math.max(1, most))));
    const tiles: number[] = [];
    for (let row = 0; row < rows; row += each) tiles.push(Math.min(each, rows - row));
    return tiles;
  },

  dense(x, tiles, bias, activation) {
    const program = programs.dense(x.shape, tiles.map(tileTexture), bias !== null, activation);
    return run(program, [x, ...(bias ? [bias] : []), ...tiles]);
  },

  denseInputGradient(dz, tiles) {
    const program = programs.inputGradient(dz.shape, tiles.map(tileTexture));
    return run(program, [dz, ...tiles]);
  },

  addKernelGradient(sum, x, dz, from, tileRows) {
    const shape: [number, number] = [tileRows, dz.shape[1]];
    const program = programs.kernelGradient(shape, x.shape[0], sum !== null);
    return replace(sum, () => run(program, sum ? [x, dz, sum] : [x, dz], [from]));
  },

  addColumnSums(sum, x) {
    const program = programs.columnSums(x.shape, sum !== null);
    return replace(sum, () => run(program, sum ? [x, sum] : [x]));
  },

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
