import * as esbuild from 'esbuild';
import { findOrInstallChromium } from '../../client/cli/chromium.ts';
import { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { table } from '../../client/cli/progress.ts';
import type { FramingTimes } from './framing-page.ts';
import { median } from './result.ts';

/**
 * What it takes to cut a part into frames and to put it together, in Chromium, against other ways of doing so, in turns. One part of 256
 * rows of 1,024 numbers.
 *
 *   node --import tsx test/bench/framing.ts
 */
const { outputFiles } = await esbuild.build({
  entryPoints: ['test/bench/framing-page.ts'],
  bundle: true,
  write: false,
  format: 'iife',
  target: 'es2022',
});
const browser = await PeerBrowser.launch(await findOrInstallChromium());
try {
  const page = await (await browser.newContext()).newPage();
  await page.evaluate(outputFiles[0].text);
  const all = await page.evaluate(() =>
    (globalThis as unknown as { framingTimes: () => FramingTimes[] }).framingTimes(),
  );
  const rows = all.flatMap(({ what, times }) =>
    Object.entries(times).map(([arm, each], i) => [
      i === 0 ? what : '',
      arm,
      median(each).toFixed(3),
      `${Math.min(...each).toFixed(3)} to ${Math.max(...each).toFixed(3)}`,
    ]),
  );
  console.log(table(['what', 'how', 'ms', 'least to most'], rows).join('\n'));
} finally {
  await browser.close();
}
