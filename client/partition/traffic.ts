import { PART_FRAME_NUMBERS, PART_HEADER_BYTES } from '../../shared/frames.ts';
import { passagesOf, passageWidth } from './exchange.ts';
import type { Partition } from './partition.ts';

/** Bytes of one part of `numbers` float32 numbers on the wire, headers of its frames included. */
export const partBytes = (numbers: number): number =>
  4 * numbers + PART_HEADER_BYTES * Math.ceil(numbers / PART_FRAME_NUMBERS);

/**
 * Bytes that cross a boundary for one micro-batch of `rows` samples, in one direction (the backward of a part is as large): per part
 * rows * width * 4 and its frames' headers. What a peer sends to itself crosses nothing.
 */
export function boundaryBytes(partition: Partition, index: number, rows: number): number {
  const before = partition.stages[partition.segments[index].stage].lanes;
  const after = partition.stages[partition.segments[index + 1].stage].lanes;
  return passagesOf(partition, index)
    .filter(({ from, to }) => before[from] !== after[to])
    .reduce(
      (sum, { range }) => sum + partBytes(rows * passageWidth(partition.boundaries[index].tensor, range)),
      0,
    );
}
