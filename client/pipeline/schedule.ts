/** What one block could do now within a step. */
export interface BlockProgress {
  microBatches: number;
  inFlightMax: number;
  /** Micro-batches whose forward pass has run here. */
  forwards: number;
  backwards: number;
  /** True where the input of a micro-batch has come. */
  forwardReady(micro: number): boolean;
  /** True where the gradient of a micro-batch has come (at the head: always, its gradient is made here). */
  backwardReady(micro: number): boolean;
}

export type BlockTask = { kind: 'forward' | 'backward'; micro: number } | { kind: 'step' };

/**
 * One forward, one backward (1F1B; Narayanan et al., PipeDream, SOSP 2019), driven by what has arrived: backward before
 * forward, micro-batches in order, at most `inFlightMax` between their passes. Null: wait for an arrival.
 */
export function nextTask(block: BlockProgress): BlockTask | null {
  if (block.backwards === block.microBatches) return { kind: 'step' };
  if (block.backwards < block.forwards && block.backwardReady(block.backwards)) {
    return { kind: 'backward', micro: block.backwards };
  }
  const inFlight = block.forwards - block.backwards;
  const mayForward = block.forwards < block.microBatches && inFlight < block.inFlightMax;
  return mayForward && block.forwardReady(block.forwards) ? { kind: 'forward', micro: block.forwards } : null;
}
