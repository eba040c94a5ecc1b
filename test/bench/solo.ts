import type { Bench } from './main.ts';
import { scriptOf, withPages, type PagesOptions } from './pages.ts';
import { median, shown, summaryOf, type Bar, type Goal } from './result.ts';
import { alone, PLAIN, type SoloCase, type SoloPage, type SoloTimes } from './solo-page.ts';

interface Case {
  name: string;
  model: string;
  batch: number;
  /** How many times as many samples a second as plain tfjs. */
  wanted: number;
  turns: number;
}

export const SOLO_CASES: readonly Case[] = [
  { name: 'mlp', model: 'mlp:1024-1024-512', batch: 512, wanted: 1.05, turns: 12 },
  { name: 'cnn', model: 'cnn:16-32-128', batch: 256, wanted: 1.05, turns: 6 },
  { name: 'mlp-small', model: 'mlp:256-128', batch: 128, wanted: 1.15, turns: 60 },
  { name: 'cnn-small', model: 'cnn:8-16-64', batch: 128, wanted: 1.15, turns: 15 },
];
const MICRO_BATCHES = [1, 4];
const MICRO_WANTED = 0.95;

declare const openArms: SoloPage['openArms'];
declare const takeTurns: SoloPage['takeTurns'];

/** Opens a page of its own in which those arms take turns as often as they are asked to. */
export const withArms = <T>(
  pages: Omit<PagesOptions, 'pages'>,
  wish: SoloCase,
  use: (turns: (turns: number, arms?: string[]) => Promise<SoloTimes>) => Promise<T>,
): Promise<T> =>
  withPages({ ...pages, pages: 1 }, async ([page]) => {
    await page.evaluate((chosen) => openArms(chosen), wish);
    return use((turns, arms) => page.evaluate((chosen) => takeTurns(chosen), { turns, arms }));
  });

/** Of each turn: one arm's time over another's. */
const ratios = (times: SoloTimes, of: string, against: string): number[] =>
  times[of].map((ms, turn) => ms / times[against][turn]);

/**
 * One device with the whole model, a room of one, against plain tfjs (`trainOnBatch`): the same page, model, batch and WebGL back-end,
 * step by step in turns. Each round is a page of its own.
 */
export const solo: Bench = async ({ rounds, steps, models, browser }, terminal) => {
  const script = await scriptOf('solo-page.ts');
  const rows: string[][] = [];
  const bars: Bar[] = [];
  const goals: Goal[] = [];
  for (const { name, model, batch, wanted, turns } of SOLO_CASES) {
    if (models && !models.includes(name)) continue;
    for (const optimizer of ['sgd', 'adam'] as const) {
      const times: SoloTimes = {};
      for (let round = 0; round < (rounds ?? 1); round++) {
        terminal.status(`solo: ${model}, ${optimizer}, round ${round + 1}`);
        const seen = await withArms(
          { script, browser },
          { model, batch, optimizer, microBatches: MICRO_BATCHES, withPlain: true },
          (take) => take(steps ?? turns),
        );
        for (const [arm, each] of Object.entries(seen)) times[arm] = [...(times[arm] ?? []), ...each];
      }
      const [one, four] = MICRO_BATCHES.map(alone);
      for (const arm of Object.keys(times)) {
        const gain = summaryOf(ratios(times, PLAIN, arm));
        const ms = summaryOf(times[arm]);
        const rate = ((1000 * batch) / ms.median).toFixed(0);
        const whole = arm === four ? shown(summaryOf(ratios(times, one, four))) : '';
        rows.push([name, optimizer, String(batch), arm, shown(ms, 1), rate, shown(gain), whole]);
        if (arm !== PLAIN) bars.push({ label: `${name}, ${optimizer}: ${arm}`, ...gain });
      }
      terminal.line(
        rows
          .slice(-1 - MICRO_BATCHES.length)
          .map((row) => row.join('  '))
          .join('\n'),
      );
      goals.push({
        what: `${name}, ${optimizer}: samples/s, times plain tfjs`,
        value: median(ratios(times, PLAIN, one)),
        bound: wanted,
        kind: 'least',
        unit: '',
      });
      goals.push({
        what: `${name}, ${optimizer}: 4 micro-batches, times the full batch`,
        value: median(ratios(times, one, four)),
        bound: MICRO_WANTED,
        kind: 'least',
        unit: '',
      });
    }
  }
  return {
    bench: 'solo',
    title: 'A room of one against plain tfjs: same page, model, batch and back-end, step by step in turns.',
    sections: [
      {
        title: 'One device',
        note: 'Times plain tfjs: the median over turns of plain tfjs’s time for a step over this one’s; above 1 is faster. Times full batch: the same against one micro-batch. In brackets least and most.',
        heads: [
          'model',
          'optimizer',
          'batch',
          'what',
          'ms a step',
          'samples/s',
          'times plain tfjs',
          'times full batch',
        ],
        rows,
        bars,
        unit: 'samples a second, times plain tfjs',
        mark: 1,
      },
    ],
    goals,
  };
};
