import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { FULL } from '../../client/cli/experiment/grid.ts';
import type { Outcome } from '../../client/cli/experiment/outcome.ts';
import { Store } from '../../client/cli/experiment/store.ts';
import { FlagError } from '../../shared/flags.ts';

const dir = mkdtempSync(join(tmpdir(), 'edgepipe-experiment-'));
after(() => rmSync(dir, { recursive: true }));
const outcome = { id: 'none-hybrid-deadline-1', seed: 1 } as Outcome;

describe('results of an experiment', () => {
  it('are there when the same experiment is asked for again, with more seeds, too', () => {
    const out = join(dir, 'again');
    new Store(out, FULL).keep(outcome);
    const store = new Store(out, { ...FULL, seeds: 3, troubles: ['none'] });
    assert.deepEqual([...store.outcomes()], [[outcome.id, outcome]]);
  });

  it('are not mixed with those of other settings', () => {
    const out = join(dir, 'other');
    new Store(out, FULL);
    assert.throws(
      () => new Store(out, { ...FULL, batch: 256, target: 0.9 }),
      (error: unknown) =>
        error instanceof FlagError &&
        /holds results of other settings \(batch 128, now 256; target 0.965, now 0.9\)/.test(error.message),
    );
  });

  it('do not go where something else is', () => {
    writeFileSync(join(dir, 'file'), 'mine');
    assert.throws(() => new Store(dir, FULL), /is not empty and holds no experiment/);
    assert.throws(() => new Store(join(dir, 'file'), FULL), /is not empty and holds no experiment/);
  });

  it('are read without one that was broken off', () => {
    const out = join(dir, 'broken');
    const store = new Store(out, FULL);
    store.keep(outcome);
    writeFileSync(join(out, 'runs', 'half.json'), '{"id": "ha');
    assert.equal(store.outcomes().size, 1);
    assert.equal(store.read('sweep.json'), null);
  });
});
