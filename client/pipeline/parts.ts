import type { UnitRange } from '../../shared/model.ts';
import { takeNumbers } from '../../shared/number-pool.ts';
import { widthOf, type TensorShape } from '../model/graph.ts';

/** Numbers per sample that a run of positions has. */
export const rangeWidth = (shape: Pick<TensorShape, 'outer' | 'inner'>, [start, end]: UnitRange): number =>
  widthOf({ ...shape, units: end - start });

/** Up to here copying one by one is faster than making a view to copy; test/bench/framing.ts measures it. */
const RUN_BY_HAND_MAX = 64;

/** The numbers of positions `range` out of a register of positions `held`: [rows, outer, range, inner]. No copy where that is all. */
export function takeRange(
  register: Float32Array,
  rows: number,
  shape: TensorShape,
  held: UnitRange,
  range: UnitRange,
): Float32Array {
  if (range[0] === held[0] && range[1] === held[1]) return register;
  const runs = runsOf(rows, shape, held, range);
  const part = takeNumbers(runs.count * runs.length);
  for (let i = 0; i < runs.count; i++) {
    const from = runs.first + i * runs.stride;
    const to = i * runs.length;
    if (runs.length < RUN_BY_HAND_MAX)
      for (let j = 0; j < runs.length; j++) part[to + j] = register[from + j];
    else part.set(register.subarray(from, from + runs.length), to);
  }
  return part;
}

/** Adds a part of positions `range` to a register of positions `held`, in place. */
export function addRange(
  register: Float32Array,
  part: Float32Array,
  rows: number,
  shape: TensorShape,
  held: UnitRange,
  range: UnitRange,
): void {
  const { count, length, stride, first } = runsOf(rows, shape, held, range);
  for (let i = 0; i < count; i++) {
    const to = first + i * stride;
    const from = i * length;
    for (let j = 0; j < length; j++) register[to + j] += part[from + j];
  }
}

/** Where the numbers of `range` lie in a register: `count` runs of `length` numbers, `stride` apart. */
function runsOf(rows: number, { outer, inner }: TensorShape, held: UnitRange, range: UnitRange) {
  return {
    count: rows * outer,
    length: (range[1] - range[0]) * inner,
    stride: (held[1] - held[0]) * inner,
    first: (range[0] - held[0]) * inner,
  };
}
