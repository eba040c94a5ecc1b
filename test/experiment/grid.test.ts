import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { cellsOf, configOf, FULL, linkDelays, PEERS, QUICK } from '../../client/cli/experiment/grid.ts';
import { RunConfigSchema } from '../../shared/schema/config.ts';

describe('the cells of an experiment', () => {
  it('are all ways under all troubles, no two of one name, seed by seed', () => {
    const cells = cellsOf({ ...FULL, seeds: 2 });
    // Without loss only deadline and stall for three partitions, and auto; else 3 x 4 and auto.
    assert.equal(cells.length, 2 * (7 + 9 * 13));
    assert.equal(new Set(cells.map(({ id }) => id)).size, cells.length);
    assert.ok(cells.slice(0, cells.length / 2).every(({ seed }) => seed === 1));
  });

  it('are few where somebody is in a hurry', () => {
    const cells = cellsOf(QUICK);
    const worstSeconds = (cells.length / QUICK.rooms) * (QUICK.seconds + 15);
    assert.ok(worstSeconds < 600, `${cells.length} runs take ${worstSeconds} s`);
    assert.ok(cells.some(({ partition, rule }) => partition === 'vertical' && rule === 'discard'));
  });

  it('are runs that a room accepts, at a constant learning rate and with links that differ', () => {
    for (const cell of cellsOf(FULL)) {
      const config = configOf(cell, FULL, 250);
      assert.deepEqual(v.parse(RunConfigSchema, config), config, cell.id);
      assert.equal(config.optimizer.decay, 'constant');
      assert.equal(config.faults?.jitterMs, 20);
      assert.equal(config.resendMs, 250);
    }
  });

  it('give every partition all peers', () => {
    const grids = cellsOf(FULL).map((cell) => [cell.partition, configOf(cell, FULL, null).grid] as const);
    for (const [partition, grid] of grids)
      assert.equal(grid === null ? PEERS : grid.stages * grid.lanes, PEERS, partition);
  });

  it('slow every link once', () => {
    const links = linkDelays().map(({ a, b }) => `${a}-${b}`);
    assert.deepEqual(links, ['1-2', '1-3', '1-4', '2-3', '2-4', '3-4']);
  });
});
