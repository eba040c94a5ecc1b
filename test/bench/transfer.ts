import { table } from '../../client/cli/progress.ts';
import { scriptOf, withPages } from './pages.ts';
import { median } from './result.ts';
import type { TransferTimes } from './transfer-page.ts';

/**
 * What it takes to bring a matrix to the device and back in Chromium, by tfjs and by EdgePipe's kernels, in turns, in a browser on one
 * processor. Each upload is followed by one pass that reads it all; what that takes alone is in the table.
 *
 *   node --import tsx test/bench/transfer.ts
 */
const script = await scriptOf('transfer-page.ts');
const all = await withPages({ script, pages: 1, browser: null, processor: 0 }, ([page]) =>
  page.evaluate(() =>
    (globalThis as unknown as { transferTimes: () => Promise<TransferTimes[]> }).transferTimes(),
  ),
);
const rows = all.flatMap(({ what, times }) =>
  Object.entries(times).map(([arm, each], i) => [
    i === 0 ? what : '',
    arm,
    median(each).toFixed(2),
    `${Math.min(...each).toFixed(2)} to ${Math.max(...each).toFixed(2)}`,
  ]),
);
console.log(table(['what', 'how', 'ms', 'least to most'], rows).join('\n'));
