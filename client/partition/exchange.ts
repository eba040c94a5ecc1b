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

/**
 * Everything that crosses a boundary, forward. Each receiver adds what comes into zeros at the right positions: that gathers slices,
 * keeps slices, and completes sums alike. Backward each passage is walked the other way, and senders add in the same way: the
 * backward of a gather is a sum, of a reduce a copy.
 */
export function passagesOf(partition: Partition, index: number): Passage[] {
  const { from, to } = partition.boundaries[index];
  const stageBefore = partition.segments[index].stage;
  const stageAfter = partition.segments[index + 1].stage;
  const senders = partition.stages[stageBefore].lanes.length;
  const receivers = partition.stages[stageAfter].lanes.length;
  const passages: Passage[] = [];
  for (let sender = 0; sender < senders; sender++) {
    const has = exitOf(partition, stageBefore, sender, index) && heldBy(partition, stageBefore, sender, from);
    if (!has) continue;
    const served = servedBy(sender, senders, receivers);
    for (let receiver = 0; receiver < receivers; receiver++) {
      if (from.layout === 'copies' && !served.includes(receiver)) continue;
      const wants =
        entryOf(partition, stageAfter, receiver, index + 1) && heldBy(partition, stageAfter, receiver, to);
      const range = wants && overlap(has, wants);
      if (range) passages.push({ from: sender, to: receiver, range });
    }
  }
  return passages;
}

/** Numbers per sample of a part. */
export const passageWidth = ({ outer, inner }: TensorShape, [start, end]: UnitRange): number =>
  outer * (end - start) * inner;

export function overlap(a: UnitRange, b: UnitRange): UnitRange | null {
  const start = Math.max(a[0], b[0]);
  const end = Math.min(a[1], b[1]);
  return start < end ? [start, end] : null;
}

const programs = new WeakMap<Partition, Map<string, ReturnType<typeof laneProgram>>>();

/** As `laneProgram`, made once. */
export function programOf(partition: Partition, stage: number, lane: number): ReturnType<typeof laneProgram> {
  let known = programs.get(partition);
  if (!known) programs.set(partition, (known = new Map<string, ReturnType<typeof laneProgram>>()));
  const key = `${stage}/${lane}`;
  let program = known.get(key);
  if (!program) known.set(key, (program = laneProgram(partition, stage, lane)));
  return program;
}

function entryOf(partition: Partition, stage: number, lane: number, segment: number): boolean {
  const program = programOf(partition, stage, lane);
  return program.segments[program.indices.indexOf(segment)].input !== null;
}

function exitOf(partition: Partition, stage: number, lane: number, segment: number): boolean {
  const program = programOf(partition, stage, lane);
  return program.segments[program.indices.indexOf(segment)].output !== null;
}
