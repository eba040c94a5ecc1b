import { LIMITS } from '../../../shared/limits.ts';
import { configOf, TROUBLES, type Settings } from './grid.ts';
import { paceOf } from './run-cell.ts';
import type { TrainingRoom } from './training-room.ts';

/** Which longest wait between two requests for a part serves `stall` best. */
export interface Sweep {
  tried: { resendMs: number; stepsPerSecond: number }[];
  bestMs: number;
}

/** Where waiting costs most, and where links only lose. */
const SWEPT = ['outage-25', 'loss-30'];
const SECONDS = 30;

/** How many runs a sweep takes; none where no way asks for parts. */
export const sweepRuns = ({ resendMs, ways }: Pick<Settings, 'resendMs' | 'ways'>): number =>
  resendMs.length > 1 && ways.some((way) => /stall|repair/.test(way)) ? resendMs.length * SWEPT.length : 0;

/** Tries all waits on a vertical partition, the one with most to ask for. */
export async function sweep(
  room: () => Promise<TrainingRoom>,
  settings: Settings,
  onRun: (done: number) => void,
): Promise<Sweep> {
  const { resendMs } = settings;
  if (sweepRuns(settings) === 0) return { tried: [], bestMs: resendMs.at(0) ?? LIMITS.pipeline.resendMaxMs };
  const tried: Sweep['tried'] = [];
  for (const ms of resendMs) {
    let sum = 0;
    for (const [i, name] of SWEPT.entries()) {
      onRun(tried.length * SWEPT.length + i);
      const trouble = TROUBLES.find((one) => one.name === name)!;
      const config = configOf({ partition: 'vertical', rule: 'stall', trouble, seed: 1 }, settings, ms);
      sum += await paceOf(await room(), config, SECONDS);
    }
    tried.push({ resendMs: ms, stepsPerSecond: sum / SWEPT.length });
  }
  return { tried, bestMs: bestOf(tried) };
}

export const bestOf = (tried: Sweep['tried']): number =>
  tried.reduce((best, one) => (one.stepsPerSecond > best.stepsPerSecond ? one : best)).resendMs;
