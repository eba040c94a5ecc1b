import type { Register } from '../ports/compute.ts';

/** Numbers of one sample in a register. */
export const registerWidth = ({ shape, held }: Register): number =>
  shape.outer * (held[1] - held[0]) * shape.inner;

/**
 * How the numbers of a register lie in a matrix, for so many samples: a row for each sample of what is flat, a row for
 * each place of an image. Order and number are the same, so nothing moves on the way in or out.
 */
export function matrixOf({ shape, held }: Register, rows: number): [rows: number, columns: number] {
  const numbers = (held[1] - held[0]) * shape.inner;
  return shape.shape.length === 1 ? [rows, shape.outer * numbers] : [rows * shape.outer, numbers];
}
