import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { DenseKernels } from '../kernels.ts';
import { programs, tileTexture } from '../webgl-programs.ts';
import { replace, run, runBack } from './program.ts';

/** A kernel is cut into this many tiles: the transient of an update is one of them. Textures bound at once limit it. */
const TILES = 4;
/** Below this many bytes a tile would save less than its extra draw call costs. */
const LEAST_TILE_BYTES = 4096;

/** So many summands in one program: two textures each and the sum's are well within the sixteen that WebGL promises. */
const SUMMED_AT_ONCE = 4;

/** Adds all summands to a sum, which it consumes, some at a time. */
function inRuns<T>(
  sum: Tensor2D | null,
  summands: readonly T[],
  add: (sum: Tensor2D | null, some: readonly T[]) => Tensor2D,
): Tensor2D {
  let total = sum;
  for (let from = 0; from < summands.length; from += SUMMED_AT_ONCE) {
    const before = total;
    total = replace(before, () => add(before, summands.slice(from, from + SUMMED_AT_ONCE)));
  }
  return total!;
}

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

  denseInputGradient(dz, tiles, through) {
    const program = programs.inputGradient(dz.shape, tiles.map(tileTexture));
    return runBack(program, [dz, ...tiles], through);
  },

  addKernelGradient(sum, factors, from, tileRows) {
    return inRuns(sum, factors, (soFar, some) => {
      const shape: [number, number] = [tileRows, some[0].dz.shape[1]];
      const rows = some.map(({ x }) => x.shape[0]);
      const inputs = [...some.flatMap(({ x, dz }) => [x, dz]), ...(soFar ? [soFar] : [])];
      return run(programs.kernelGradient(shape, rows, soFar !== null), inputs, [from / 2]);
    });
  },

  addColumnSums(sum, xs) {
    return inRuns(sum, xs, (soFar, some) => {
      const rows = some.map((x) => x.shape[0]);
      const program = programs.columnSums(some[0].shape[1], rows, soFar !== null);
      return run(program, [...some, ...(soFar ? [soFar] : [])]);
    });
  },
};
