import { LIMITS } from '../../shared/limits.ts';
import type { StageCaps } from '../../shared/schema/plan.ts';
import { passagesOf, passageWidth, programOf } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';
import { partBytes } from '../../shared/packets.ts';
import { capsFor, exchanges } from '../pipeline/schedule.ts';
import { blockBytes, shareOf } from './memory.ts';
import { timeShareOf, type Problem } from './profile.ts';

/**
 * How many micro-batches each stage may have under way: as many more than the schedule needs as the way to the loss and back takes
 * forward passes of the slowest lane, and fewer where a device has no room for them.
 */
export function capsOfStages(problem: Problem, partition: Partition): StageCaps[] {
  const aheads = aheadOf(problem, partition);
  return partition.stages.map((_, stage) => {
    const least = exchanges(partition, stage) ? 1 : 0;
    const cap = (ahead: number) => capsFor(partition, stage, problem, ahead, aheads[0]);
    const room = roomOf(problem, partition, stage, cap(aheads[stage]).kept, cap(least).inFlight);
    const { inFlight, kept } = cap(aheads[stage]);
    return { inFlight: Math.min(inFlight, room), kept: Math.min(kept, room) };
  });
}

/** A little more than so many passes takes no further micro-batch. */
const TOLERANCE = 0.01;

/**
 * Per stage: forward passes that fit into the way from there to the loss and back, links alone, and one to spare. Without that one, a
 * part that comes just too late finds a weight gradient begun, and everybody upstream waits for it.
 */
function aheadOf(problem: Problem, partition: Partition): number[] {
  const { stages } = partition;
  const aheads = stages.map(() => 0);
  const wayMs = stages.map(() => 0);
  for (const { index } of partition.boundaries)
    wayMs[partition.segments[index].stage] += thereAndBackMs(problem, partition, index);
  const taskMs = Math.max(...stages.map((_, stage) => forwardMs(problem, partition, stage)));
  let restMs = 0;
  for (let stage = stages.length - 1; stage >= 0; stage--) {
    restMs += wayMs[stage];
    if (!exchanges(partition, stage)) continue;
    const passes = taskMs > 0 ? Math.ceil(restMs / taskMs - TOLERANCE) : Infinity;
    aheads[stage] = Math.min(1 + passes, LIMITS.pipeline.aheadMax);
  }
  return aheads;
}

/** The slowest passage of a boundary. */
function thereAndBackMs(
  { workers, links, rows, wire }: Problem,
  partition: Partition,
  index: number,
): number {
  const { segments, stages, boundaries } = partition;
  const workersOf = (segment: number) =>
    stages[segments[segment].stage].lanes.map((lane) => workers.findIndex(({ peer }) => peer === lane));
  const [senders, receivers] = [workersOf(index), workersOf(index + 1)];
  const { tensor, isOneWay } = boundaries[index];
  const ways = passagesOf(partition, index).map(({ from, to, range }) => {
    const link = senders[from] * workers.length + receivers[to];
    const ms =
      links.latencyMs[link] + partBytes(wire, rows, passageWidth(tensor, range)) * links.msPerByte[link];
    return isOneWay ? ms : 2 * ms;
  });
  return Math.max(0, ...ways);
}

/** All segments of a stage's slowest lane. */
function forwardMs({ workers }: Problem, partition: Partition, stage: number): number {
  const lanes = partition.stages[stage].lanes.map((peer, lane) => {
    const worker = workers.find((known) => known.peer === peer)!;
    const { registers, segments } = programOf(partition, stage, lane);
    let ms = 0;
    for (const { ops } of segments) {
      ms += worker.taskMs;
      for (const op of ops)
        if (op.op.kind !== 'narrow')
          ms += timeShareOf(worker, shareOf(op, registers)) * worker.forwardMs[op.node];
    }
    return ms;
  });
  return Math.max(...lanes);
}

/** Micro-batches, from `most` down to `least`, for which every lane of a stage has memory. */
function roomOf(problem: Problem, partition: Partition, stage: number, most: number, least: number): number {
  const { workers, optimizerArrays, rows, hasBudgets } = problem;
  if (!hasBudgets) return most;
  const { lanes } = partition.stages[stage];
  const fits = (kept: number) =>
    lanes.every((peer, lane) => {
      const { memoryBytes } = workers.find((worker) => worker.peer === peer)!;
      return blockBytes(programOf(partition, stage, lane), optimizerArrays, rows, kept) <= memoryBytes;
    });
  let kept = most;
  while (kept > least && !fits(kept)) kept--;
  return kept;
}
