import type { Report } from '../../shared/schema/report.ts';
import type { ReportSpan } from '../../shared/schema/timeline.ts';

export interface IdleShare {
  /** Of the time from the first work of the first step to the last of the last: when stages did not compute, averaged over them. */
  idle: number;
  /** Backward was split: weight gradients apart from input gradients. */
  isSplit: boolean;
  stepMs: number;
}

const WORK: readonly ReportSpan['kind'][] = ['forward', 'backward', 'weights', 'step'];

/** How much of steps [first, last] the blocks of a run did not compute, fill and flush included. Throws where a timeline is missing. */
export function idleShare({ timelines, plan }: Report, first: number, last: number): IdleShare {
  const holders = plan.stages.flatMap(({ lanes }) => lanes);
  const work = holders.map((peer) => {
    const spans = timelines.find((timeline) => timeline.peer === peer)?.spans ?? [];
    const own = spans.filter(({ kind, step }) => WORK.includes(kind) && step >= first && step <= last);
    if (own.length === 0)
      throw new Error(`Nothing is known of what ${peer} did in steps ${first} to ${last}.`);
    return own;
  });
  const all = work.flat();
  const startMs = all.reduce((least, { start_ms }) => Math.min(least, start_ms), Infinity);
  const endMs = all.reduce((most, { end_ms }) => Math.max(most, end_ms), -Infinity);
  const shares = work.map(
    (spans) =>
      1 - spans.reduce((sum, { start_ms, end_ms }) => sum + end_ms - start_ms, 0) / (endMs - startMs),
  );
  return {
    idle: shares.reduce((sum, share) => sum + share, 0) / shares.length,
    isSplit: all.some(({ kind }) => kind === 'weights'),
    stepMs: (endMs - startMs) / (last - first + 1),
  };
}

/** Idle shares of pipelines with flush where F, B and W take as long as each other and links take no time. */
export const THEORY = {
  /** Narayanan et al., PipeDream, SOSP 2019. */
  oneForwardOneBackward: (stages: number, micros: number): number => (stages - 1) / (micros + stages - 1),
  /** Qi et al., Zero Bubble Pipeline Parallelism, ICLR 2024: the handy schedule, memory as in 1F1B. */
  splitBackward: (stages: number, micros: number): number => (stages - 1) / (3 * micros + stages - 1),
};
