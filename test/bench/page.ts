import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import type { PeerPage } from '../../client/cli/peer-page.ts';
import type { Bench } from './main.ts';
import { pageDir } from './pages.ts';
import { shown, summaryOf, type Bar, type Goal } from './result.ts';

const MODELS = ['mlp', 'cnn:8-16-64'];
const PEERS = 2;
const STEPS = 60;
const FIRST_STEPS = 2;
const TIMEOUT_MS = 900_000;
const WANTED_PERCENT = 2;

interface Observed {
  /** Milliseconds of each task of more than 50 ms. */
  longMs: number[];
  sinceMs: number;
}

declare const observed: Observed;

/** From now on, the page notes its thread's long tasks. That it does is seen by one of 80 ms, which does not count. */
const watch = ({ page }: PeerPage): Promise<void> =>
  page.evaluate(async () => {
    const notes: Observed = { longMs: [], sinceMs: 0 };
    Object.assign(globalThis, { observed: notes });
    const isSeen = new Promise<void>((resolve, reject) => {
      setTimeout(() => reject(new Error('This browser notes no long tasks.')), 5_000);
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) notes.longMs.push(duration);
        resolve();
      }).observe({ type: 'longtask' });
    });
    setTimeout(() => {
      const end = performance.now() + 80;
      while (performance.now() < end);
    });
    await isSeen;
    notes.longMs = [];
    notes.sinceMs = performance.now();
  });

const look = ({ page }: PeerPage): Promise<{ longMs: number[]; ms: number }> =>
  page.evaluate(() => ({ longMs: observed.longMs, ms: performance.now() - observed.sinceMs }));

/** How long the page does not answer while it trains: the share of time in long tasks (over 50 ms) of its thread. */
export const page: Bench = async ({ rounds, steps, browser }, terminal) => {
  const rows: string[][] = [];
  const bars: Bar[] = [];
  const goals: Goal[] = [];
  for (const model of MODELS) {
    const shares: number[] = [];
    const longest: number[] = [];
    for (let round = 0; round < (rounds ?? 1); round++) {
      terminal.status(`page: ${model}, round ${round + 1}`);
      const rig = await SwarmRig.open({ peers: PEERS, browser, pageDir: await pageDir() });
      try {
        await rig.whenLinked();
        await rig.start(runConfig({ model, steps: 100_000, onDeparture: 'continue' }));
        const until = async (step: number) => {
          const { run } = await rig.follow(
            (room) => room.run.stepsDone >= step || room.run.phase === 'failed',
            { timeoutMs: TIMEOUT_MS },
          );
          if (run.phase === 'failed') throw new RigError(`The room failed: ${run.message}`);
        };
        await until(FIRST_STEPS);
        await Promise.all(rig.peers.map(watch));
        await until(FIRST_STEPS + (steps ?? STEPS));
        for (const { longMs, ms } of await Promise.all(rig.peers.map(look))) {
          shares.push((100 * longMs.reduce((sum, one) => sum + one, 0)) / ms);
          longest.push(Math.max(0, ...longMs));
        }
      } finally {
        await rig.close();
      }
    }
    const share = summaryOf(shares);
    rows.push([model, shown(share), Math.max(...longest).toFixed(0)]);
    bars.push({ label: model, ...share });
    const what = `${model}: time in long tasks of the page’s thread`;
    goals.push({ what, value: share.most, bound: WANTED_PERCENT, kind: 'most', unit: '%' });
  }
  return {
    bench: 'page',
    title: 'Does the page stay responsive while it trains?',
    sections: [
      {
        title: 'Long tasks',
        note: `${PEERS} pages train together; PerformanceObserver counts tasks of more than 50 ms. Median, least and most over pages; the goal is held against the most.`,
        heads: ['model', '% of the time in long tasks', 'longest ms'],
        rows,
        bars,
        unit: '% of the time in long tasks',
      },
    ],
    goals,
  };
};
