import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { BrowserRooms } from '../../client/cli/experiment/browser-rooms.ts';
import { cellsOf, QUICK, type Settings } from '../../client/cli/experiment/grid.ts';
import { Store } from '../../client/cli/experiment/store.ts';
import { Volatility } from '../../client/cli/experiment/volatility.ts';
import { Terminal } from '../../client/cli/terminal.ts';

const settings: Settings = {
  ...QUICK,
  target: 0.99,
  seconds: 12,
  compareSeconds: 8,
  everySeconds: 3,
  troubles: ['loss-30'],
  ways: ['hybrid deadline'],
  rooms: 1,
};

async function run(dir: string): Promise<string> {
  let said = '';
  const terminal = new Terminal({ write: (text: string) => (said += text) });
  const rooms = new BrowserRooms(settings, null);
  const experiment = new Volatility(settings, new Store(dir, settings), terminal, () => rooms.open());
  try {
    await experiment.run();
  } finally {
    await rooms.close();
  }
  return said;
}

describe('an experiment in real browsers', () => {
  it('leaves tables and a page, and does nothing twice', { timeout: 300_000 }, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'edgepipe-experiment-'));
    try {
      const said = await run(dir);
      assert.match(said, /loss-30-hybrid-deadline-1 \(2\+2 lanes\): not reached/);
      const [{ id }] = cellsOf(settings);
      const outcome = new Store(dir, settings).outcomes().get(id)!;
      assert.ok(outcome.curve.length > 0 && outcome.curve.every(({ step }) => step > 0));
      const { whole, partial, skipped } = outcome.ledger;
      assert.ok(partial > 0 && skipped < whole + partial);
      for (const [boundary, { forward, backward }] of outcome.used.entries()) {
        // Every lane makes the loss for itself: gradients of that pass no link.
        const isLast = boundary === outcome.used.length - 1;
        assert.equal(backward === null, isLast);
        for (const share of isLast ? [forward] : [forward, backward])
          assert.ok(share !== null && share > 0.4 && share < 1, `${share}`);
      }
      const page = await readFile(join(dir, 'page.html'), 'utf8');
      assert.match(page, /uPlot/);
      assert.match(await readFile(join(dir, 'table.md'), 'utf8'), /\| hybrid, deadline \| over 12 s \|/);
      assert.match(await run(dir), /1 of 1 runs are done already/);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
