import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { findOrInstallChromium } from '../../client/cli/chromium.ts';
import { LabFolder } from '../../client/cli/lab/folder.ts';
import { bridgeAddress, hostName } from '../../client/cli/lab/hosts.ts';
import { HostNetwork, hostsProblem } from '../../client/cli/lab/network.ts';
import { writeStarter } from '../../client/cli/lab/starter.ts';
import { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { table } from '../../client/cli/progress.ts';
import { startServer } from '../../signaling/server.ts';
import type { LossyPage } from './lossy-link-page.ts';
import { pageDir, scriptOf } from './pages.ts';

/**
 * How late parts come over one link that loses packets, between two hosts of the lab (root, Linux): parts of some kilobytes each so
 * many milliseconds, both ways, with and without copies, in turns. Nothing is computed meanwhile, so what is late is late by the link.
 *
 *   node --import tsx test/bench/lossy-link.ts [--loss 10] [--bytes 4224] [--every 50] [--copies 1,2] [--seconds 20] [--rounds 2]
 */
const { values } = parseArgs({
  options: {
    loss: { type: 'string', default: '10' },
    bytes: { type: 'string', default: '4224' },
    every: { type: 'string', default: '50' },
    copies: { type: 'string', default: '1,2' },
    seconds: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '2' },
  },
});
const WITHIN_MS = [10, 25, 50, 100, 200, 500];
/** Congestion control and the number of connections find their pace. */
const FIRST_SECONDS = 15;

declare const lossyEnd: LossyPage['lossyEnd'];

const problem = hostsProblem();
if (problem !== null) throw new Error(problem);
const folder = new LabFolder();
const network = HostNetwork.build({ peers: 2, loss: Number(values.loss) / 100, bitsPerSecond: null });
const server = await startServer({ port: 0, host: bridgeAddress(network.subnet), pageDir: await pageDir() });
const browsers: PeerBrowser[] = [];
try {
  const chromium = await findOrInstallChromium();
  const script = await scriptOf('lossy-link-page.ts');
  const pages: Page[] = [];
  for (const peer of [1, 2]) {
    const file = join(folder.path, `peer-${peer}`);
    writeStarter(file, { chromium, host: hostName(network.pid, peer), group: null });
    const browser = await PeerBrowser.launch(file);
    browsers.push(browser);
    const page = await (await browser.newContext()).newPage();
    await page.addInitScript('globalThis.__name ??= (target) => target');
    await page.goto(new URL('/healthz', server.url).href);
    await page.evaluate(script);
    pages.push(page);
  }
  await link(pages[0], pages[1]);
  const bytes = Number(values.bytes);
  const everyMs = Number(values.every);
  const sendBoth = (copies: number, seconds: number) =>
    Promise.all(
      pages.map((page) =>
        page.evaluate((parts) => lossyEnd.send(parts), { ms: 1000 * seconds, everyMs, bytes, copies }),
      ),
    );
  const arms = values.copies.split(',').map(Number);
  await sendBoth(arms[0], FIRST_SECONDS);
  const rows: string[][] = [];
  for (let round = 0; round < Number(values.rounds); round++)
    for (const copies of arms) {
      for (const page of pages) {
        await page.evaluate(() => lossyEnd.arrivals());
        await page.evaluate(() => lossyEnd.messages());
      }
      const sent = await sendBoth(copies, Number(values.seconds));
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      const late: number[] = [];
      for (const [i, [first, ...left]] of sent.entries()) {
        const came = new Map(await pages[1 - i].evaluate(() => lossyEnd.arrivals()));
        late.push(...left.map((ms, k) => (came.get(first + k) ?? Infinity) - ms));
      }
      late.sort((a, b) => a - b);
      const at = (share: number) =>
        late[Math.min(late.length - 1, Math.floor(share * late.length))].toFixed(0);
      rows.push([
        String(copies),
        String(late.length),
        ...[0.5, 0.9, 0.97].map(at),
        ...WITHIN_MS.map((ms) => ((100 * late.filter((each) => each <= ms).length) / late.length).toFixed(1)),
      ]);
      const byChannel = Object.entries(await pages[0].evaluate(() => lossyEnd.messages()));
      console.log(`${copies} copies: ${byChannel.map(([what, count]) => `${count} by ${what}`).join(', ')}`);
    }
  const heads = ['copies', 'parts', 'median ms', '90%', '97%', ...WITHIN_MS.map((ms) => `% in ${ms} ms`)];
  console.log(table(heads, rows).join('\n'));
} finally {
  for (const browser of browsers) await browser.close();
  await server.close();
  network.close();
  folder.close();
}
process.exit(0);

/** Links two pages both ways, their signals handed over here. */
async function link(a: Page, b: Page): Promise<void> {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const)
    await from.exposeFunction('relay', (signal: unknown) =>
      to.evaluate((what) => lossyEnd.signal(what), signal),
    );
  await b.evaluate(() => lossyEnd.open(false));
  await a.evaluate(() => lossyEnd.open(true));
  for (const page of [a, b]) await page.waitForFunction(() => lossyEnd.isOpen());
}
