import type { DenseKernels } from '../kernels.ts';
import { programs, tileTexture } from '../webgl-programs.ts';
import { replace, run } from './program.ts';

/** A kernel is cut into this many tiles: the transient of an update is one of them. Textures bound at once limit it. */
const TILES = 4;
/** Below this many bytes a tile would save less than its extra draw call costs. */
const LEAST_TILE_BYTES = 4096;

export const webglDense: DenseKernels = {
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
    return replace(sum, () => run(program, sum ? [x, dz, sum] : [x, dz], [from / 2]));
  },

  addColumnSums(sum, x) {
    const program = programs.columnSums(x.shape, sum !== null);
    return replace(sum, () => run(program, sum ? [x, sum] : [x]));
  },
};
