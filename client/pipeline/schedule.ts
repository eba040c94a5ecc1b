import type { Partition } from '../partition/partition.ts';

/** What one block could do now within a step. */
export interface BlockProgress {
  microBatches: number;
  inFlightMax: number;
  /** Per segment, in order: micro-batches whose forward pass has run there. */
  forwards: readonly number[];
  backwards: readonly number[];
  /** True where the input of a micro-batch has come. */
  forwardReady(segment: number, micro: number): boolean;
  /** True where the gradient of a micro-batch has come (at the loss: always, its gradient is made here). */
  backwardReady(segment: number, micro: number): boolean;
}

export type BlockTask = { kind: 'forward' | 'backward'; segment: number; micro: number } | { kind: 'step' };

/**
 * One forward, one backward (1F1B; Narayanan et al., PipeDream, SOSP 2019), driven by what has arrived, for a block of one or more
 * segments: backward before forward, later segments before earlier ones, micro-batches in order, at most `inFlightMax` between their
 * first and their last pass. Null: wait for an arrival.
 */
export function nextTask(block: BlockProgress): BlockTask | null {
  const { forwards, backwards, microBatches } = block;
  const last = forwards.length - 1;
  if (backwards[0] === microBatches) return { kind: 'step' };
  for (let segment = 0; segment <= last; segment++) {
    const micro = backwards[segment];
    // Gradients of what later segments read here are whole only when those are done.
    const isDue = segment === last ? micro < forwards[last] : micro < backwards[segment + 1];
    if (isDue && block.backwardReady(segment, micro)) return { kind: 'backward', segment, micro };
  }
  for (let segment = last; segment >= 0; segment--) {
    const micro = forwards[segment];
    const isDue =
      segment === 0
        ? micro < microBatches && micro - backwards[0] < block.inFlightMax
        : micro < forwards[segment - 1];
    if (isDue && block.forwardReady(segment, micro)) return { kind: 'forward', segment, micro };
  }
  return null;
}

/**
 * Micro-batches that a block may have in flight: 1F1B needs S - s at stage s of S, and one more covers the way there and back where
 * anything is exchanged.
 */
export function inFlightMax(partition: Partition, stage: number, microBatches: number): number {
  const stages = partition.stages.length;
  const exchanges =
    partition.segments.filter((segment) => segment.stage === stage).length > 1 || stage < stages - 1;
  return Math.min(microBatches, stages - stage + (exchanges ? 1 : 0));
}
