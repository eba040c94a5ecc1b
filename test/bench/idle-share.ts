import type { Report } from '../../shared/schema/report.ts';
import type { ReportSpan } from '../../shared/schema/timeline.ts';

export interface IdleShare {
  /** Of the time from the first work of the first step to the last of the last: when stages did not compute, averaged over them. */
  idle: number;
  /** Backward was split: weight gradients apart from input gradients. */
  isSplit: boolean;
  /** Micro-batches that the first stage may have between forward and backward. */
  inFlight: number;
  stepMs: number;
}

const WORK: readonly ReportSpan['kind'][] = ['forward', 'backward', 'weights', 'step'];

/**
 * How much of the time of steps [first, last] the blocks of a run did not compute, from the first work of these steps to the last, fill
 * and flush included. Without a flush, a block may then still be at work for the step before. Throws where a timeline is missing.
 */
export function idleShare({ timelines, plan }: Report, first: number, last: number): IdleShare {
  const holders = plan.stages.flatMap(({ lanes }) => lanes);
  const work = holders.map((peer) => {
    const spans = timelines.find((timeline) => timeline.peer === peer)?.spans ?? [];
    return spans.filter(({ kind }) => WORK.includes(kind));
  });
  const asked = work.map((spans) => spans.filter(({ step }) => step >= first && step <= last));
  const unknown = asked.findIndex((spans) => spans.length === 0);
  if (unknown >= 0)
    throw new Error(`Nothing is known of what ${holders[unknown]} did in steps ${first} to ${last}.`);
  const all = asked.flat();
  const startMs = all.reduce((least, { start_ms }) => Math.min(least, start_ms), Infinity);
  const endMs = all.reduce((most, { end_ms }) => Math.max(most, end_ms), -Infinity);
  const within = ({ start_ms, end_ms }: ReportSpan) =>
    Math.max(0, Math.min(end_ms, endMs) - Math.max(start_ms, startMs));
  const shares = work.map(
    (spans) => 1 - spans.reduce((sum, span) => sum + within(span), 0) / (endMs - startMs),
  );
  return {
    idle: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    isSplit: all.some(({ kind }) => kind === 'weights'),
    inFlight: plan.caps[0].in_flight,
    stepMs: (endMs - startMs) / (last - first + 1),
  };
}

/** Idle shares of pipelines with flush where F, B and W take as long as each other and links take no time. */
export const THEORY = {
  /** Narayanan et al., PipeDream, SOSP 2019. */
  oneForwardOneBackward: (stages: number, micros: number): number => (stages - 1) / (micros + stages - 1),
  /**
   * Qi et al., Zero Bubble Pipeline Parallelism, ICLR 2024: the handy schedule, memory as in 1F1B; and what follows in the same way for
   * other sizes. The first stage waits for its first gradient, 2 S - 1 passes and `wayPasses` for each way between two stages, there
   * and back; it fills that with as many forward passes as may be in flight, S if nothing is said; then there is no more to wait for.
   */
  splitBackward: (stages: number, micros: number, inFlight = stages, wayPasses = 0): number => {
    const firstGradient = 2 * stages - 1 + 2 * (stages - 1) * wayPasses;
    const waiting = Math.max(0, firstGradient - Math.min(micros, inFlight));
    return waiting / (3 * micros + waiting);
  },
};
