import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { StageCaps } from '../../shared/schema/plan.ts';
import type { Partition } from '../partition/partition.ts';

/** What one block could do now. Micro-batches are counted on through the steps of a plan. */
export interface BlockProgress {
  /** Of a step. */
  microBatches: number;
  /** Steps done. */
  steps: number;
  /** Micro-batches that may begin are those before this one. */
  end: number;
  caps: StageCaps;
  /** Per segment, in order: micro-batches whose forward pass has run there; whose backward; whose weight gradients are summed. */
  forwards: readonly number[];
  backwards: readonly number[];
  weights: readonly number[];
  /** Per segment: somebody waits for the gradient of its input. */
  isAwaited: readonly boolean[];
  /** Per segment: its backward leaves weight gradients for later. */
  defers: readonly boolean[];
  /** True where the input of a micro-batch has come. */
  forwardReady(segment: number, micro: number): boolean;
  /** True where the gradient of a micro-batch has come (at the loss: always, its gradient is made here). */
  backwardReady(segment: number, micro: number): boolean;
}

export type PassKind = 'forward' | 'backward' | 'weights';

/** `micro` counts on through the steps. */
export type BlockTask =
  | { kind: 'forward' | 'backward'; segment: number; micro: number }
  /** `count` micro-batches from this one on, at once. */
  | { kind: 'weights'; segment: number; micro: number; count: number }
  | { kind: 'step' };

/**
 * One forward, one backward (1F1B; Narayanan et al., PipeDream, SOSP 2019) with the backward split (ZB-H1; Qi et al., Zero Bubble, 2023),
 * driven by what has arrived, for a block of one or more segments. First the input gradients that somebody waits for, then forwards,
 * then what nobody waits for: a backward whose gradient goes nowhere, and weight gradients, which so fill the waiting. Later segments
 * go before earlier ones, micro-batches in order. Where nobody waits for anything, weight gradients wait until there are as many as may
 * be kept, or all of the step, and become one product: how many are summed at once must not hang on timing. Null: wait for an arrival.
 */
export function nextTask(block: BlockProgress): BlockTask | null {
  const { forwards, backwards, weights, caps, microBatches } = block;
  const last = forwards.length - 1;
  let done = weights[0];
  for (const micro of weights) if (micro < done) done = micro;
  if (done >= (block.steps + 1) * microBatches) return { kind: 'step' };
  const awaited = nextBackward(block, true);
  if (awaited) return awaited;
  for (let segment = last; segment >= 0; segment--) {
    const micro = forwards[segment];
    const mayBegin = micro < block.end && micro - backwards[0] < caps.inFlight && micro - done < caps.kept;
    const isDue = segment === 0 ? mayBegin : micro < forwards[segment - 1];
    if (isDue && block.forwardReady(segment, micro)) return { kind: 'forward', segment, micro };
  }
  const other = nextBackward(block, false);
  if (other) return other;
  const first = weights.findIndex((micro, segment) => micro === done && micro < backwards[segment]);
  if (first < 0) return null;
  if (block.isAwaited[first] || !block.defers[first])
    return { kind: 'weights', segment: first, micro: done, count: 1 };
  const end = (block.steps + 1) * microBatches;
  const count = backwards[first] - done;
  return count < caps.kept && backwards[first] < end
    ? null
    : { kind: 'weights', segment: first, micro: done, count };
}

function nextBackward(block: BlockProgress, isAwaited: boolean): BlockTask | null {
  const { forwards, backwards } = block;
  const last = forwards.length - 1;
  for (let segment = 0; segment <= last; segment++) {
    const micro = backwards[segment];
    // Gradients of what later segments read here are whole only when those are done.
    const isDue = segment === last ? micro < forwards[last] : micro < backwards[segment + 1];
    if (isDue && block.isAwaited[segment] === isAwaited && block.backwardReady(segment, micro))
      return { kind: 'backward', segment, micro };
  }
  return null;
}

/** How far the segments of a block are. */
export type Counts = Pick<BlockProgress, 'isAwaited' | 'defers'> &
  Record<'forwards' | 'backwards' | 'weights', number[]>;

/** Notes that a task has begun: its micro-batch is the segment's next one. */
export function note(
  task: Exclude<BlockTask, { kind: 'step' }>,
  { forwards, backwards, weights, defers }: Counts,
): void {
  const { kind, segment } = task;
  if (kind === 'forward') forwards[segment]++;
  else if (kind === 'backward') backwards[segment]++;
  if (task.kind === 'weights') weights[segment] += task.count;
  else if (kind === 'backward' && !defers[segment]) weights[segment]++;
}

/** True where nobody waits for anything: the whole model is on one device. */
export const isAlone = ({ segments }: Pick<Partition, 'segments'>): boolean => segments.length === 1;

/** True where anything goes out of a stage and comes back. */
export const exchanges = ({ segments, stages }: Partition, stage: number): boolean =>
  stage < stages.length - 1 || segments.filter((segment) => segment.stage === stage).length > 1;

/**
 * Micro-batches that stage s of S may have under way, by the plan or, where that says nothing, with one more for the way there and back.
 * 1F1B needs S - s between forward and backward; no stage keeps more of them until their weight gradients are done than the first one.
 */
export const capsOf = (
  partition: Partition,
  stage: number,
  config: Pick<RunConfig, 'microBatches' | 'schedule'>,
): StageCaps =>
  capsFor(partition, stage, config, exchanges(partition, stage) ? 1 : 0, exchanges(partition, 0) ? 1 : 0);

/**
 * The same with `ahead` more than S - s between forward and backward, where the way there and back takes as long as so many passes, and
 * `firstAhead` at the first stage.
 */
export function capsFor(
  partition: Partition,
  stage: number,
  { microBatches, schedule = 'sync' }: Pick<RunConfig, 'microBatches' | 'schedule'>,
  ahead: number,
  firstAhead: number,
): StageCaps {
  const { stages } = partition;
  const depth = stages.length - stage;
  if (schedule === 'async') {
    const kept = depth + Math.min(ahead, LIMITS.pipeline.asyncAhead);
    return { inFlight: kept, kept };
  }
  const inFlight = Math.min(microBatches, depth + ahead);
  if (isAlone(partition)) return { inFlight, kept: Math.min(microBatches, LIMITS.pipeline.mergedMax) };
  const spare = firstAhead > 0 ? 1 : 0;
  return { inFlight, kept: Math.max(inFlight, Math.min(microBatches, stages.length + firstAhead + spare)) };
}

/**
 * How many steps the weights lie behind that a micro-batch uses without a flush: those after the last update that is sure to be there
 * when it may begin, whatever the timing. So every run is the same, and the lanes of a stage agree.
 * @param steps updates done
 */
export const ageOf = (micro: number, steps: number, { kept }: StageCaps, microBatches: number): number =>
  steps - versionOf(micro, kept, microBatches);

const versionOf = (micro: number, kept: number, microBatches: number): number =>
  Math.max(0, Math.floor((micro - kept + 1) / microBatches));

/** How many updates a micro-batch does without that sync would have waited for. */
export const stalenessOf = (micro: number, { kept }: StageCaps, microBatches: number): number =>
  Math.floor(micro / microBatches) - versionOf(micro, kept, microBatches);

/** Versions of the weights, besides the newest, that a forward may still ask for after `steps` updates. */
export const olderVersionsAfter = (
  steps: number,
  next: number,
  { kept }: StageCaps,
  microBatches: number,
): number => Math.max(0, steps - versionOf(next, kept, microBatches));

/** Steps that a neighbour can be ahead without a flush: what is under way here and at the first stage, and no more. */
export const stepsAhead = ({ kept }: StageCaps, microBatches: number): number =>
  1 + Math.ceil((kept + LIMITS.room.peers + LIMITS.pipeline.asyncAhead) / microBatches);
