/** A matrix inside an array: entry (i, j) is at i * down + j * along. */
export interface Matrix {
  data: Float32Array;
  down: number;
  along: number;
}

/** Terms of a sum that are added up before the next: both factors then stay in the processor's cache. */
const TERMS = 256;

/**
 * start + a b, [rows, columns] with `terms` products a sum, accumulated in double precision in order. `start` is a matrix or null for
 * zeros; it may be the result's own array.
 */
export function product(
  a: Matrix,
  b: Matrix,
  start: Matrix | null,
  [rows, columns, terms]: readonly [number, number, number],
  result: Float32Array = new Float32Array(rows * columns),
): Float32Array {
  // Long sums stop and go on, so what they have reached is kept in double precision.
  const sums = terms > TERMS ? new Float64Array(rows * columns) : null;
  for (let from = 0; from < terms || from === 0; from += TERMS) {
    const to = Math.min(terms, from + TERMS);
    const isLast = to === terms;
    for (let i = 0; i < rows; i += 2) {
      for (let j = 0; j < columns; j += 4) {
        block(
          a,
          b,
          from === 0 ? start : null,
          from === 0 ? null : sums,
          isLast ? result : sums!,
          i,
          j,
          from,
          to,
          rows,
          columns,
        );
      }
    }
  }
  return result;
}

/** Two rows by four columns of a product, kept in registers. */
function block(
  { data: a, down: aDown, along: aAlong }: Matrix,
  { data: b, down: bDown, along: bAlong }: Matrix,
  start: Matrix | null,
  reached: Float64Array | null,
  target: Float64Array | Float32Array,
  i: number,
  j: number,
  from: number,
  to: number,
  rows: number,
  columns: number,
): void {
  // Past an edge a row or column is computed again and not stored.
  const i1 = i + 1 < rows ? i + 1 : i;
  const j1 = j + 1 < columns ? j + 1 : j;
  const j2 = j + 2 < columns ? j + 2 : j;
  const j3 = j + 3 < columns ? j + 3 : j;
  let s00 = 0, s01 = 0, s02 = 0, s03 = 0, s10 = 0, s11 = 0, s12 = 0, s13 = 0; // prettier-ignore
  if (start) {
    const { data, down, along } = start;
    s00 = data[i * down + j * along];
    s01 = data[i * down + j1 * along];
    s02 = data[i * down + j2 * along];
    s03 = data[i * down + j3 * along];
    s10 = data[i1 * down + j * along];
    s11 = data[i1 * down + j1 * along];
    s12 = data[i1 * down + j2 * along];
    s13 = data[i1 * down + j3 * along];
  } else if (reached) {
    s00 = reached[i * columns + j];
    s01 = reached[i * columns + j1];
    s02 = reached[i * columns + j2];
    s03 = reached[i * columns + j3];
    s10 = reached[i1 * columns + j];
    s11 = reached[i1 * columns + j1];
    s12 = reached[i1 * columns + j2];
    s13 = reached[i1 * columns + j3];
  }
  let a0 = i * aDown + from * aAlong;
  let a1 = i1 * aDown + from * aAlong;
  let b0 = from * bDown + j * bAlong;
  const d1 = (j1 - j) * bAlong;
  const d2 = (j2 - j) * bAlong;
  const d3 = (j3 - j) * bAlong;
  for (let t = from; t < to; t++) {
    const x0 = a[a0];
    const x1 = a[a1];
    const y0 = b[b0];
    const y1 = b[b0 + d1];
    const y2 = b[b0 + d2];
    const y3 = b[b0 + d3];
    s00 += x0 * y0;
    s01 += x0 * y1;
    s02 += x0 * y2;
    s03 += x0 * y3;
    s10 += x1 * y0;
    s11 += x1 * y1;
    s12 += x1 * y2;
    s13 += x1 * y3;
    a0 += aAlong;
    a1 += aAlong;
    b0 += bDown;
  }
  const t0 = i * columns;
  const t1 = i1 * columns;
  target[t1 + j3] = s13;
  target[t1 + j2] = s12;
  target[t1 + j1] = s11;
  target[t1 + j] = s10;
  target[t0 + j3] = s03;
  target[t0 + j2] = s02;
  target[t0 + j1] = s01;
  target[t0 + j] = s00;
}
