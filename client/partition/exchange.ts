import type { UnitRange } from '../../shared/model.ts';
import type { TensorShape } from '../model/graph.ts';
import { laneProgram, servedBy } from './lane-program.ts';
import { heldBy, type Partition } from './partition.ts';

/** One part: positions of the boundary's tensor that go from one lane to another. */
export interface Passage {
  from: number;
  to: number;
  range: UnitRange;
}

/** What was worked out of a partition: planners and blocks ask for it again and again. */
interface Known {
  /** Per stage and lane. */
  programs: ReturnType<typeof laneProgram>[][];
  /** Per boundary. */
  passages: (readonly Passage[])[];
}

const known = new WeakMap<Partition, Known>();

function knownOf(partition: Partition): Known {
  let found = known.get(partition);
  if (!found) known.set(partition, (found = { programs: partition.stages.map(() => []), passages: [] }));
  return found;
}

/**
 * Everything that crosses a boundary, forward. Each receiver adds what comes into zeros at the right positions: that gathers slices,
 * keeps slices, and completes sums alike. Backward each passage is walked the other way, and senders add in the same way: the
 * backward of a gather is a sum, of a reduce a copy. Made once.
 */
export function passagesOf(partition: Partition, index: number): readonly Passage[] {
  return (knownOf(partition).passages[index] ??= passages(partition, index));
}

function passages(partition: Partition, index: number): Passage[] {
  const { from, to } = partition.boundaries[index];
  const [before, after] = [partition.segments[index].stage, partition.segments[index + 1].stage];
  const senders = partition.stages[before].lanes.length;
  const wanted = partition.stages[after].lanes.map(
    (_, lane) => entryOf(partition, after, lane, index + 1) && heldBy(partition, after, lane, to),
  );
  const found: Passage[] = [];
  for (let sender = 0; sender < senders; sender++) {
    const has = exitOf(partition, before, sender, index) && heldBy(partition, before, sender, from);
    if (!has) continue;
    const served = from.layout === 'copies' ? servedBy(sender, senders, wanted.length) : null;
    wanted.forEach((wants, receiver) => {
      if (served && !served.includes(receiver)) return;
      const range = wants && overlap(has, wants);
      if (range) found.push({ from: sender, to: receiver, range });
    });
  }
  return found;
}

/** The passages over which gradients come back: where each lane makes the loss by itself, those within a lane. */
export function passagesBack(partition: Partition, index: number): readonly Passage[] {
  const all = passagesOf(partition, index);
  return partition.boundaries[index].isOneWay ? all.filter(({ from, to }) => from === to) : all;
}

/** Numbers per sample of a part. */
export const passageWidth = ({ outer, inner }: TensorShape, [start, end]: UnitRange): number =>
  outer * (end - start) * inner;

export function overlap(a: UnitRange, b: UnitRange): UnitRange | null {
  const start = Math.max(a[0], b[0]);
  const end = Math.min(a[1], b[1]);
  return start < end ? [start, end] : null;
}

/** As `laneProgram`, made once. */
export function programOf(partition: Partition, stage: number, lane: number): ReturnType<typeof laneProgram> {
  return (knownOf(partition).programs[stage][lane] ??= laneProgram(partition, stage, lane));
}

function entryOf(partition: Partition, stage: number, lane: number, segment: number): boolean {
  const program = programOf(partition, stage, lane);
  return program.segments[program.indices.indexOf(segment)].input !== null;
}

function exitOf(partition: Partition, stage: number, lane: number, segment: number): boolean {
  const program = programOf(partition, stage, lane);
  return program.segments[program.indices.indexOf(segment)].output !== null;
}
