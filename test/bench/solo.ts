import * as esbuild from 'esbuild';
import { findOrInstallChromium } from '../../client/cli/chromium.ts';
import { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { table } from '../../client/cli/progress.ts';
import { startServer } from '../../signaling/server.ts';
import { median } from './rooms.ts';
import type { SoloCase, SoloTimes } from './solo-page.ts';

/**
 * One device with the whole model against plain tfjs (`trainOnBatch`): the same page, model, batch and WebGL back-end, step by step in
 * turns. The ratio says how many times as many samples a second a block gets through; below 1 it is slower.
 *
 *   node --import tsx test/bench/solo.ts [part of a model's name]
 */
const CASES: SoloCase[] = [
  { model: 'mlp:256-128', batch: 128, optimizer: 'sgd', microBatches: [1, 4], seconds: 10 },
  { model: 'mlp:256-128', batch: 128, optimizer: 'adam', microBatches: [1, 4], seconds: 10 },
  { model: 'cnn:8-16-64', batch: 128, optimizer: 'sgd', microBatches: [1, 4], seconds: 20 },
  { model: 'cnn:8-16-64', batch: 128, optimizer: 'adam', microBatches: [1, 4], seconds: 20 },
  { model: 'mlp:1024-1024-512', batch: 512, optimizer: 'sgd', microBatches: [1, 4], seconds: 30 },
  { model: 'mlp:1024-1024-512', batch: 512, optimizer: 'adam', microBatches: [1, 4], seconds: 30 },
  { model: 'cnn:16-32-128', batch: 256, optimizer: 'sgd', microBatches: [1, 4], seconds: 40 },
  { model: 'cnn:16-32-128', batch: 256, optimizer: 'adam', microBatches: [1, 4], seconds: 40 },
  { model: 'resnet', batch: 128, optimizer: 'adam', microBatches: [1, 4], seconds: 20 },
];

const wanted = CASES.filter(({ model }) => model.includes(process.argv[2] ?? ''));
const { outputFiles } = await esbuild.build({
  entryPoints: ['test/bench/solo-page.ts'],
  bundle: true,
  write: false,
  format: 'iife',
  target: 'es2022',
});
const server = await startServer({ port: 0, host: '127.0.0.1' });
const browser = await PeerBrowser.launch(await findOrInstallChromium());
try {
  const rows: string[][] = [];
  for (const wish of wanted) {
    const page = await (await browser.newContext()).newPage();
    await page.goto(new URL('/healthz', server.url).href);
    await page.evaluate(outputFiles[0].text);
    const times = await page.evaluate(
      (chosen) => (globalThis as unknown as { solo: (c: SoloCase) => Promise<SoloTimes> }).solo(chosen),
      wish,
    );
    await page.context().close();
    const plainMs = median(times['plain tfjs']);
    for (const [arm, each] of Object.entries(times)) {
      const [least, middle, most] = [Math.min(...each), median(each), Math.max(...each)];
      const ms = `${middle.toFixed(1)} (${least.toFixed(1)} to ${most.toFixed(1)})`;
      rows.push([wish.model, wish.optimizer, String(wish.batch), arm, ms, (plainMs / middle).toFixed(2)]);
    }
    console.log(
      rows
        .slice(-Object.keys(times).length)
        .map((row) => row.join('  '))
        .join('\n'),
    );
  }
  const heads = ['model', 'optimizer', 'batch', 'arm', 'ms a step (least to most)', 'against tfjs'];
  console.log(`\n${table(heads, rows).join('\n')}`);
} finally {
  await browser.close();
  await server.close();
}
