import { alone, PLAIN, type SoloCase, type SoloTimes } from './solo-page.ts';
import { PROCESSORS } from './pinning.ts';
import { median } from './result.ts';
import { soloIn } from './solo.ts';

export interface Alone {
  /** For each arm (plain tfjs, a room of one with so many micro-batches): milliseconds of a step, on each processor. */
  readonly stepMs: ReadonlyMap<string, number[]>;
  /** Of the best arm on each processor. */
  readonly bestMs: number[];
  /** Milliseconds of a step on a device that is as fast as the two are on average: two of them can be twice as fast, however they differ. */
  readonly meanMs: number;
  /** A room of one on each processor, both at once: how many times the mean both together do. What two devices can reach at all here. */
  readonly atOnce: number;
}

const MICRO_BATCHES = [1, 2, 4, 8];

/** What one device does, on each processor by itself, and then on both at once, neither having to do with the other. */
export async function measureAlone(
  { script, browser }: { script: string; browser: string | null },
  { model, batch, turns }: Pick<SoloCase, 'model' | 'batch' | 'turns'>,
): Promise<Alone> {
  const on = (processor: number, microBatches: number[], withPlain: boolean) =>
    soloIn(
      { script, pages: 1, browser, processor },
      { model, batch, optimizer: 'sgd', microBatches, withPlain, turns },
    );
  const stepMs = new Map<string, number[]>();
  const bestMs: number[] = [];
  for (const processor of PROCESSORS) {
    const middles = mediansOf(await on(processor, MICRO_BATCHES, true));
    for (const [arm, ms] of middles) stepMs.set(arm, [...(stepMs.get(arm) ?? []), ms]);
    bestMs.push(Math.min(...middles.values()));
  }
  const meanMs = PROCESSORS.length / sum(bestMs.map((ms) => 1 / ms));
  const rooms = MICRO_BATCHES.map((count) => ({ count, ms: sum(stepMs.get(alone(count))!) }));
  const { count } = rooms.reduce((a, b) => (b.ms < a.ms ? b : a));
  const both = await Promise.all(PROCESSORS.map((processor) => on(processor, [count], false)));
  const atOnce = sum(both.map((times) => meanMs / mediansOf(times).get(alone(count))!));
  return { stepMs, bestMs, meanMs, atOnce };
}

const mediansOf = (times: SoloTimes): Map<string, number> =>
  new Map(Object.entries(times).map(([arm, each]) => [arm, median(each)]));

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** `plain tfjs, EdgePipe with 1, 2 micro-batches`. */
export const ALONE_ARMS = `${PLAIN}, EdgePipe with ${MICRO_BATCHES.join(', ')} micro-batches`;
