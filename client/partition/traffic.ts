import { partBytes } from '../../shared/packets.ts';
import type { WireFormat } from '../../shared/wire.ts';
import { passagesOf, passageWidth } from './exchange.ts';
import type { Partition } from './partition.ts';

/**
 * Bytes that cross a boundary for one micro-batch of `rows` samples, forward: per part rows * width numbers in the run's wire format, and
 * its frames' headers. What a peer sends to itself crosses nothing. Backward as many come back, or, where each lane makes the loss by
 * itself, none.
 */
export function boundaryBytes(partition: Partition, index: number, rows: number, wire: WireFormat): number {
  const before = partition.stages[partition.segments[index].stage].lanes;
  const after = partition.stages[partition.segments[index + 1].stage].lanes;
  return passagesOf(partition, index)
    .filter(({ from, to }) => before[from] !== after[to])
    .reduce(
      (sum, { range }) =>
        sum + partBytes(wire, rows, passageWidth(partition.boundaries[index].tensor, range)),
      0,
    );
}
