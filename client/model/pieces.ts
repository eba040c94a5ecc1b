import { hashText, randomUniform } from '../../shared/counter-random.ts';
import type { UnitRange } from '../../shared/model.ts';
import type { NamedArray } from '../ports/compute.ts';
import { sizeOf, type Dimension, type ParameterShape } from './graph.ts';

/** Which entries of a parameter's dimensions a block has; null: all of a dimension. */
export type Entries = (number[] | null)[];

/**
 * The entries of a parameter for units at positions `input` and `output` of their orders (null: the model's own order). Dimensions
 * that no unit indexes are held whole.
 */
export function entriesOf(
  { dimensions }: ParameterShape,
  input: { held: UnitRange; order: readonly number[] | null },
  output: { held: UnitRange; order: readonly number[] | null },
): Entries {
  return dimensions.map((dimension) => {
    if (!dimension) return null;
    const { held, order } = dimension.by === 'input' ? input : output;
    const isAll = held[0] === 0 && held[1] === dimension.units && !order;
    return isAll ? null : entriesOfUnits(dimension, held, order);
  });
}

function entriesOfUnits({ units, outer, inner }: Dimension, [start, end]: UnitRange, order: readonly number[] | null): number[] {
  const entries: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (let position = start; position < end; position++) {
      const unit = order ? order[position] : position;
      for (let q = 0; q < inner; q++) entries.push((o * units + unit) * inner + q);
    }
  }
  return entries;
}

/** Extents of the part of an array of `shape` that `entries` take. */
export const pieceShape = (shape: readonly number[], entries: Entries): number[] =>
  shape.map((extent, i) => entries[i]?.length ?? extent);

/** Calls back for every number of a piece with its place in the piece and in the whole array. */
function eachEntry(shape: readonly number[], entries: Entries, visit: (inPiece: number, inWhole: number) => void): void {
  const extents = pieceShape(shape, entries);
  const last = shape.length - 1;
  const outerCount = sizeOf(extents.slice(0, last));
  const index = new Array<number>(shape.length).fill(0);
  let inPiece = 0;
  for (let i = 0; i < outerCount; i++) {
    let base = 0;
    for (let d = 0; d < last; d++) base = base * shape[d] + (entries[d]?.[index[d]] ?? index[d]);
    base *= shape[last];
    const columns = entries[last];
    for (let c = 0; c < extents[last]; c++) visit(inPiece++, base + (columns ? columns[c] : c));
    for (let d = last - 1; d >= 0 && ++index[d] === extents[d]; d--) index[d] = 0;
  }
}

/** Initial values of a parameter's entries from the seed. Each number has a key of its own, so any partition gets the same ones. */
export function initialPiece(seed: number, { name, shape }: ParameterShape, entries: Entries): NamedArray {
  const extents = pieceShape(shape, entries);
  const data = new Float32Array(sizeOf(extents));
  const kind = name.slice(name.lastIndexOf('/') + 1);
  if (kind === 'gamma' || kind === 'moving_variance') data.fill(1);
  if (kind === 'kernel' || kind === 'depthwise_kernel') {
    const limit = glorotLimit(shape);
    const key = hashText(name);
    const columns = shape[shape.length - 1];
    eachEntry(shape, entries, (inPiece, inWhole) => {
      const column = inWhole % columns;
      data[inPiece] = (2 * randomUniform(seed, key, column, (inWhole - column) / columns) - 1) * limit;
    });
  }
  return { name, shape: extents, data, entries };
}

/**
 * The bound of Glorot's uniform distribution (Glorot and Bengio, 2010, formula 16): sqrt(6 / (fan in + fan out)); a convolution's
 * fans count its window.
 */
function glorotLimit(shape: readonly number[]): number {
  const window = sizeOf(shape.slice(0, -2));
  return Math.sqrt(6 / (window * (shape[shape.length - 2] + shape[shape.length - 1])));
}

/** Copies into `target` whatever `source` has of its entries; both are parts of one array of `shape`. Says how many numbers. */
export function overlay(shape: readonly number[], target: NamedArray, source: NamedArray): number {
  const all: Entries = shape.map(() => null);
  const targetEntries = target.entries ?? all;
  const sourceEntries = source.entries ?? all;
  // Position in the source of each entry of the target, dimension by dimension; -1 where the source has it not.
  const places = shape.map((extent, d) => {
    const wanted = targetEntries[d] ?? Array.from({ length: extent }, (_, i) => i);
    const has = sourceEntries[d];
    if (!has) return wanted;
    const at = new Map(has.map((entry, i) => [entry, i]));
    return wanted.map((entry) => at.get(entry) ?? -1);
  });
  const extents = pieceShape(shape, targetEntries);
  const sourceExtents = pieceShape(shape, sourceEntries);
  const index = new Array<number>(shape.length).fill(0);
  let copied = 0;
  for (let i = 0; i < target.data.length; i++) {
    let at = 0;
    let isThere = true;
    for (let d = 0; d < shape.length; d++) {
      const place = places[d][index[d]];
      if (place < 0) isThere = false;
      at = at * sourceExtents[d] + place;
    }
    if (isThere) {
      target.data[i] = source.data[at];
      copied++;
    }
    for (let d = shape.length - 1; d >= 0 && ++index[d] === extents[d]; d--) index[d] = 0;
  }
  return copied;
}
