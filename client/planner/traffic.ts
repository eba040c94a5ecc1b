import { PART_FRAME_NUMBERS, PART_HEADER_BYTES } from '../../shared/frames.ts';
import { passagesOf, passageWidth } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';

/** Bytes on the wire of a part of so many numbers, headers of its frames included. */
export const partBytes = (numbers: number): number =>
  numbers * 4 + PART_HEADER_BYTES * Math.ceil(numbers / PART_FRAME_NUMBERS);

/**
 * Bytes that cross each boundary with one micro-batch of `rows` samples in one direction; the other direction is as much. What a peer
 * passes to itself is not counted.
 */
export function boundaryBytes(partition: Partition, rows: number): number[] {
  return partition.boundaries.map(({ index, tensor, isInner }) =>
    passagesOf(partition, index).reduce((sum, { from, to, range }) => {
      const isOwn = isInner && from === to;
      return isOwn ? sum : sum + partBytes(rows * passageWidth(tensor, range));
    }, 0),
  );
}
