import type { Cell, Settings } from './grid.ts';

/** What runs gave, and what that says of a cell. Pure. */

export interface Point {
  seconds: number;
  step: number;
  /** Share of all test images that are right. */
  accuracy: number;
}

/** What is kept of a run. */
export interface Outcome {
  id: string;
  partition: string;
  rule: string;
  trouble: string;
  seed: number;
  /** Stages and lanes of the plan. */
  shape: string;
  curve: Point[];
  /** Null where the target was not reached. */
  secondsToTarget: number | null;
  /** At the time at which all runs are compared. */
  accuracy: number;
  stepsPerSecond: number;
  /** Micro-batches, summed over blocks. */
  ledger: { whole: number; partial: number; skipped: number };
  /** By boundary: of the frames that should have been sent, the shares that were there in time. */
  used: { kind: string; forward: number | null; backward: number | null }[];
  resentBytes: number;
  /** Processors of this machine that were busy in the mean, whoever used them. */
  busyProcessors: number;
  /** The room's own test of the model at its end, the same images. */
  finalAccuracy: number;
}

/** When a curve crosses the target for two looks, between two looks by a straight line; null: not in the time that a run has. */
export function secondsTo(
  { target, seconds }: Pick<Settings, 'target' | 'seconds'>,
  curve: readonly Point[],
): number | null {
  const at = crossingOf(target, curve);
  return at !== null && at <= seconds ? at : null;
}

function crossingOf(target: number, curve: readonly Point[]): number | null {
  const isOver = (i: number) => (curve.at(i)?.accuracy ?? 1) >= target;
  const i = curve.findIndex(
    (point, at) => point.accuracy >= target && (at + 1 >= curve.length || isOver(at + 1)),
  );
  if (i < 0) return null;
  const after = curve[i];
  const before = i === 0 ? { seconds: 0, accuracy: 0 } : curve[i - 1];
  const share = (target - before.accuracy) / (after.accuracy - before.accuracy);
  return before.accuracy >= target
    ? before.seconds
    : before.seconds + share * (after.seconds - before.seconds);
}

/** The accuracy at a time, between two looks by a straight line; after the last one as there. */
export function accuracyAt(seconds: number, curve: readonly Point[]): number {
  const i = curve.findIndex((point) => point.seconds >= seconds);
  if (i < 0) return curve.at(-1)?.accuracy ?? 0;
  const after = curve[i];
  const before = i === 0 ? { seconds: 0, accuracy: 0 } : curve[i - 1];
  const share = (seconds - before.seconds) / Math.max(1e-9, after.seconds - before.seconds);
  return before.accuracy + share * (after.accuracy - before.accuracy);
}

/** True where a run need not go on: its time is over, or it has reached the target and the others' time of comparison. */
export function isOver(
  { target, seconds, compareSeconds }: Pick<Settings, 'target' | 'seconds' | 'compareSeconds'>,
  elapsedSeconds: number,
  curve: readonly Point[],
): boolean {
  if (elapsedSeconds >= seconds) return true;
  const hasReached = curve.length > 1 && curve.slice(-2).every(({ accuracy }) => accuracy >= target);
  return hasReached && elapsedSeconds >= compareSeconds;
}

/** The runs of one way under one trouble, over all seeds. */
export interface Summary {
  partition: string;
  rule: string;
  trouble: string;
  runs: number;
  /** Runs that reached the target. */
  reached: number;
  /** Mean over seeds; null where not all of them reached it. */
  secondsToTarget: number | null;
  accuracy: number;
  stepsPerSecond: number;
  /** Of all micro-batches at all blocks. */
  whole: number;
  partial: number;
  skipped: number;
  /** Least over boundaries, mean over seeds; null where nothing crosses between peers. */
  forwardUsed: number | null;
  backwardUsed: number | null;
  busyProcessors: number;
}

export function summaryOf(outcomes: readonly Outcome[]): Summary {
  const [{ partition, rule, trouble }] = outcomes;
  const times = outcomes.flatMap(({ secondsToTarget }) => secondsToTarget ?? []);
  const counts = { whole: 0, partial: 0, skipped: 0 };
  for (const { ledger } of outcomes) for (const verdict of VERDICTS) counts[verdict] += ledger[verdict];
  const all = Math.max(1, counts.whole + counts.partial + counts.skipped);
  return {
    partition,
    rule,
    trouble,
    runs: outcomes.length,
    reached: times.length,
    secondsToTarget: times.length === outcomes.length ? mean(times) : null,
    accuracy: mean(outcomes.map(({ accuracy }) => accuracy)),
    stepsPerSecond: mean(outcomes.map(({ stepsPerSecond }) => stepsPerSecond)),
    whole: counts.whole / all,
    partial: counts.partial / all,
    skipped: counts.skipped / all,
    forwardUsed: leastUsed(outcomes, 'forward'),
    backwardUsed: leastUsed(outcomes, 'backward'),
    busyProcessors: mean(outcomes.map(({ busyProcessors }) => busyProcessors)),
  };
}

const VERDICTS = ['whole', 'partial', 'skipped'] as const;

function leastUsed(outcomes: readonly Outcome[], way: 'forward' | 'backward'): number | null {
  const least = outcomes.flatMap(({ used }) => {
    const shares = used.flatMap((boundary) => boundary[way] ?? []);
    return shares.length > 0 ? [Math.min(...shares)] : [];
  });
  return least.length > 0 ? mean(least) : null;
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** One summary for each way and trouble that has a result, in the order of the cells. */
export function summariesOf(cells: readonly Cell[], outcomes: ReadonlyMap<string, Outcome>): Summary[] {
  const groups = new Map<string, Outcome[]>();
  for (const { id, partition, rule, trouble } of cells) {
    const outcome = outcomes.get(id);
    if (!outcome) continue;
    const key = `${trouble.name} ${partition} ${rule}`;
    groups.set(key, [...(groups.get(key) ?? []), outcome]);
  }
  return [...groups.values()].map(summaryOf);
}
