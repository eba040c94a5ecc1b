import type { Page } from 'playwright-core';
import { accuracyAtEqualSteps } from './accuracy.ts';
import { measureHops } from './hops.ts';
import type { Bench } from './main.ts';
import { scriptOf, withPages } from './pages.ts';
import { median, shown, summaryOf, type Goal, type Section, type Summary } from './result.ts';
import { WIRES } from './ways.ts';
import type { WirePage } from './wire-page.ts';

const SEND_MS = 2_000;
const MESSAGE_BYTES = [16 * 1024, 64 * 1024];
const FIRST_ROUNDS = 2;
const HOP_STEPS = 12;
const WANTED_SHARE = 0.85;
const WANTED_HOP_MS = 2;
/** Of float32’s bytes. */
const WANTED_BYTES: Readonly<Record<string, number>> = { float16: 0.51, int8: 0.27 };
const WANTED_POINTS = 0.3;

declare const wireEnd: WirePage['wireEnd'];

/** What parts get of a link, what a hop costs, and what wire formats save and lose. */
export const wire: Bench = async ({ rounds, steps, wires: asked, browser }, terminal) => {
  const wires = asked ?? WIRES;
  const goals: Goal[] = [];
  const goodput = await measureGoodput(rounds ?? 4, browser, terminal);
  goals.push({
    what: 'goodput of parts, share of a bare data channel’s best',
    value: goodput.share.median,
    bound: WANTED_SHARE,
    kind: 'least',
    unit: '',
  });
  terminal.status('wire: hops');
  const { overheadMs, outsideMs } = await measureHops(steps ?? HOP_STEPS, browser);
  goals.push({
    what: 'what the engine adds to a hop, ms',
    value: median(overheadMs),
    bound: WANTED_HOP_MS,
    kind: 'most',
    unit: '',
  });
  const accuracy = await accuracyAtEqualSteps('wire', wires, terminal);
  for (const [format, value] of accuracy.bytesRatio) {
    if (!(format in WANTED_BYTES)) continue;
    const what = `${format}: bytes of parts, times ${wires[0]}`;
    goals.push({ what, value, bound: WANTED_BYTES[format], kind: 'most', unit: '' });
  }
  goals.push(...accuracy.goals(WANTED_POINTS));
  return {
    bench: 'wire',
    title: 'Parts on their way: goodput, hops, bytes and accuracy.',
    sections: [
      goodput.section,
      {
        title: 'A hop',
        note: 'Three stages of emulated devices in real browsers; at the middle one, where a part finds it idle: from a part’s last frame to the next part’s last frame being queued. The first row leaves out what the emulated device takes, the second counts only what happens outside the call to it; a device’s timer, in the first alone, is up to a millisecond late.',
        heads: ['what', 'ms', 'hops'],
        rows: [
          ['all but the device’s time', shown(summaryOf(overheadMs)), String(overheadMs.length)],
          ['outside the call to the device', shown(summaryOf(outsideMs)), String(outsideMs.length)],
        ],
        bars: [
          { label: 'all but the device’s time', ...summaryOf(overheadMs) },
          { label: 'outside the call to the device', ...summaryOf(outsideMs) },
        ],
        unit: 'ms a hop',
        mark: WANTED_HOP_MS,
      },
      accuracy.section,
    ],
    goals,
  };
};

async function measureGoodput(
  rounds: number,
  browser: string | null,
  terminal: { status(text: string): void },
): Promise<{ section: Section; share: Summary }> {
  const script = await scriptOf('wire-page.ts');
  const arms = [
    { name: 'parts', send: (page: Page) => page.evaluate((ms) => wireEnd.sendParts(ms), SEND_MS) },
    ...MESSAGE_BYTES.map((messageBytes) => ({
      name: `bare channel, messages of ${messageBytes / 1024} KiB`,
      send: (page: Page) =>
        page.evaluate(([ms, bytes]) => wireEnd.sendBare(ms, bytes), [SEND_MS, messageBytes] as const),
    })),
  ];
  const rates = arms.map((): number[] => []);
  await withPages({ script, pages: 2, browser }, async ([a, b]) => {
    await link(a, b);
    for (let round = -FIRST_ROUNDS; round < rounds; round++) {
      const order = [...arms.entries()];
      for (const [i, { name, send }] of round % 2 === 0 ? order : order.toReversed()) {
        terminal.status(`wire: ${name}, round ${Math.max(0, round) + 1}`);
        await send(a);
        await new Promise((resolve) => setTimeout(resolve, 500));
        const rate = await b.evaluate(() => wireEnd.goodput());
        // Congestion control has to find its pace: losses at the start stop a channel, whosever it is, for seconds.
        if (round >= 0) rates[i].push(rate / 1e6);
      }
    }
  });
  const [parts, ...bare] = rates;
  const share = summaryOf(parts.map((rate, round) => rate / Math.max(...bare.map((each) => each[round]))));
  return {
    share,
    section: {
      title: 'Goodput',
      note: `Two pages of one browser, ${SEND_MS / 1000} s a turn. Parts are cut, framed, queued, put together and checked as in training, and count only their numbers; the bare channel, beside it, sends what it gets. Parts get ${shown(share)} of the bare channel’s best.`,
      heads: ['what', 'MB/s', 'times parts'],
      rows: arms.map(({ name }, i) => [
        name,
        shown(summaryOf(rates[i]), 1),
        (median(rates[i]) / median(parts)).toFixed(2),
      ]),
      bars: arms.map(({ name }, i) => ({ label: name, ...summaryOf(rates[i]) })),
      unit: 'MB/s of numbers',
    },
  };
}

/** Links two pages both ways, their signals handed over here. */
async function link(a: Page, b: Page): Promise<void> {
  const pairs = [
    [a, b],
    [b, a],
  ] as const;
  for (const [from, to] of pairs) {
    await from.exposeFunction('relay', (of: 'link' | 'bare', signal: unknown) =>
      to.evaluate(([kind, what]) => wireEnd.signal(kind, what), [of, signal] as const),
    );
  }
  await b.evaluate(() => wireEnd.open(false));
  await a.evaluate(() => wireEnd.open(true));
  for (const page of [a, b]) await page.waitForFunction(() => wireEnd.isOpen());
}
