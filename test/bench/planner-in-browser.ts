import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { findOrInstallChromium } from '../../client/cli/chromium.ts';
import { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { table } from '../../client/cli/progress.ts';
import { PLANNER_CASES, PLANNER_HEADS, plannerRow, timesShown, type PlannerTimes } from './planner-cases.ts';

/**
 * As test/bench/planner.ts, but where the planner is at work: on a page of Chromium. Every row has a page of its own, so its first
 * plan is the first of a process that knows nothing of the planner yet. The last columns are the same in the time that the page's
 * thread had a processor: the times that matter on a machine with other work.
 *
 *   node --import tsx test/bench/planner-in-browser.ts [rooms] [cases]
 *
 * `cases`: only so many, from the first one on.
 */
const rooms = Number(process.argv[2] ?? 15);
const cases = PLANNER_CASES.slice(0, Number(process.argv[3] ?? PLANNER_CASES.length));

const { outputFiles } = await build({
  absWorkingDir: fileURLToPath(new URL('../..', import.meta.url)),
  entryPoints: ['test/bench/planner-cases.ts'],
  bundle: true,
  write: false,
  format: 'iife',
  globalName: 'bench',
  platform: 'browser',
  target: 'es2022',
});

/** Plans for one room after the other, and for how long each had a processor. */
async function timesOf(
  browser: PeerBrowser,
  index: number,
): Promise<{ times: PlannerTimes; busyMs: number[] }> {
  const context = await browser.newContext();
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const busyNow = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return 1000 * metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  await page.addScriptTag({ content: outputFiles[0].text });
  const times: PlannerTimes = { ms: [], shapes: [] };
  const busyMs: number[] = [];
  for (let room = 0; room < rooms; room++) {
    const before = await busyNow();
    const { ms, shapes } = await page.evaluate<PlannerTimes>(
      `bench.plannerTimes(bench.PLANNER_CASES[${index}], 1, ${room})`,
    );
    busyMs.push((await busyNow()) - before);
    times.ms.push(...ms);
    times.shapes.push(...shapes);
  }
  await context.close();
  return { times, busyMs };
}

const browser = await PeerBrowser.launch(await findOrInstallChromium());
try {
  const rows: string[][] = [];
  for (const [index, one] of cases.entries()) {
    const { times, busyMs } = await timesOf(browser, index);
    rows.push([...plannerRow(one, times), ...timesShown(busyMs)]);
  }
  console.log(`${browser.version}; load of this machine ${loadavg()[0].toFixed(1)}\n`);
  console.log(table([...PLANNER_HEADS, 'busy: first', 'least', 'median', 'longest'], rows).join('\n'));
} finally {
  await browser.close();
}
