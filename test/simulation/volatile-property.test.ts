import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Faults } from '../../shared/schema/faults.ts';
import { assertProperty } from '../support/property.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

const STEPS = 12;
const GRIDS = [
  { stages: 2, lanes: 2 },
  { stages: 1, lanes: 4 },
  { stages: 4, lanes: 1 },
  { stages: 2, lanes: 1 },
  { stages: 3, lanes: 1 },
];

interface Case {
  grid: (typeof GRIDS)[number];
  rule: NonNullable<RunConfig['rule']>;
  schedule: 'sync' | 'async';
  microBatches: 1 | 2 | 4 | 8;
  speeds: number[];
  latencyMs: number;
  faults: Faults;
  seed: number;
}

const tenths = (most: number) => fc.integer({ min: 0, max: most * 10 }).map((value) => value / 10);
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const present = (faults: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(faults).filter(([, value]) => value !== undefined)) as Faults;

const faults: fc.Arbitrary<Faults> = fc
  .record({
    drop: maybe(tenths(0.6)),
    burst: maybe(fc.integer({ min: 2, max: 5 })),
    jitterMs: maybe(fc.integer({ min: 1, max: 200 })),
    duplicate: maybe(tenths(0.5)),
    reorder: maybe(tenths(0.5)),
    outage: maybe(fc.record({ share: tenths(0.5), seconds: fc.constantFrom(0.2, 2) })),
    stalls: maybe(
      fc.tuple(
        fc.record({
          peer: fc.constantFrom('peer 1', 'peer 2'),
          seconds: fc.constantFrom(0.5, 4),
          everySeconds: fc.constantFrom(5, 9),
        }),
      ),
    ),
    cuts: maybe(
      fc.tuple(
        fc.record({
          between: fc.constant(['peer 1', 'peer 2'] as [string, string]),
          steps: fc.constant([3, 5] as [number, number]),
        }),
      ),
    ),
  })
  // Bursts are of losses.
  .map(({ burst, ...others }) => present(others.drop ? { ...others, burst } : others));

const cases: fc.Arbitrary<Case> = fc.record({
  grid: fc.constantFrom(...GRIDS),
  rule: fc.constantFrom('deadline', 'discard', 'repair', 'stall'),
  schedule: fc.constantFrom('sync', 'async'),
  microBatches: fc.constantFrom(1, 2, 4, 8),
  speeds: fc.array(fc.constantFrom(0.01, 0.3, 1, 3), { minLength: 4, maxLength: 4 }),
  latencyMs: fc.constantFrom(1, 2, 40),
  faults,
  seed: fc.integer({ min: 1, max: 1_000_000 }),
});

async function check({ grid, speeds, latencyMs, ...choices }: Case): Promise<void> {
  const peers = grid.stages * grid.lanes;
  const room = new SimRoom(peers, { speeds: speeds.slice(0, peers) });
  try {
    for (const a of room.peers)
      for (const b of room.peers) if (a.id < b.id) room.network.shape(a.id, b.id, { latencyMs });
    assert.ok(await room.settle());
    const config = tinyConfig({ partition: 'auto', shares: 'even', steps: STEPS, grid, ...choices });
    // Where everything is waited for, a cut is for good, and what few frames go may all fall into one burst.
    if (config.rule === 'stall') {
      delete config.faults?.cuts;
      delete config.faults?.burst;
    }
    await room.train(config);
    const { record } = room.peers[0].swarm;
    // Who waits for everything may wait too long: then the room says so and ends.
    if (config.rule === 'stall' && record.phase === 'failed') {
      assert.match(record.message, /nothing was finished for \d+ s/);
      return;
    }
    assert.equal(record.phase, 'finished', record.message);
    // Where the loss gets nothing at all for 15 s, the room pauses and mends; then what was under way is skipped.
    const wasPaused = record.events.some(({ type }) => type === 'paused');
    const report = makeReport(record);
    const { whole, partial, skipped } = report.micro_batches;
    if (!wasPaused)
      assert.equal(whole + partial + skipped, STEPS * config.microBatches * peers, 'each ends once');
    if (!wasPaused && config.rule === 'stall') assert.equal(partial + skipped, 0);
    // After a pause, what was held back belongs to an older plan.
    if (!wasPaused) for (const { swarm } of room.peers) assert.deepEqual(swarm.refusals.counts(), {});
    for (const { forward_used: there, backward_used: back } of report.plan.boundaries)
      for (const share of [there, back]) assert.ok(share === null || (share >= 0 && share <= 1));
  } finally {
    room.close();
  }
}

const ENDS = 'every micro-batch ends once, and nothing stops, whatever happens to parts';

describe('rooms whose parts are lost, late, doubled and out of order', () => {
  it(ENDS, () => assertProperty({ file: import.meta.url, test: ENDS, seed: 20, runs: 60 }, cases, check));
});
