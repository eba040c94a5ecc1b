import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph, sizeOf } from '../../client/model/graph.ts';
import type { MemoryUse } from '../../client/ports/compute.ts';
import { inRoom } from './support.ts';

const MEGABYTE = 1_000_000;
const BUDGET = 50 * MEGABYTE;
const STEPS = 3;

const config = runConfig({
  model: 'mlp:2048-2048-2048',
  batch: 64,
  steps: 100,
  optimizer: 'adam',
  onDeparture: 'continue',
});

/** Parameters and Adam's two arrays for each. */
const modelBytes = modelGraph(config.model)
  .nodes.flatMap(({ parameters }) => parameters)
  .reduce((bytes, { shape }) => bytes + 3 * 4 * sizeOf(shape), 0);

describe('a model that is too large for anyone', () => {
  it('trains on four peers, each within its budget', { timeout: 400_000 }, async () => {
    assert.ok(modelBytes >= 120 * MEGABYTE, `${modelBytes} bytes`);
    await inRoom({ peers: 4, memoryBytes: Array<number>(4).fill(BUDGET) }, async (rig) => {
      await rig.start(config);
      const { run } = await rig.follow(
        ({ run: { stepsDone, phase } }) => stepsDone >= STEPS || phase === 'failed',
        { timeoutMs: 300_000 },
      );
      assert.ok(run.stepsDone >= STEPS, run.message);
      const uses = await Promise.all(
        rig.peers.map((peer) =>
          peer.page.evaluate(() =>
            (
              globalThis as unknown as { edgepipe: { room: { memory(): Promise<MemoryUse> } } }
            ).edgepipe.room.memory(),
          ),
        ),
      );
      const held = uses.reduce(
        (sum, { accounted }) => sum + accounted.parametersBytes + accounted.optimizerBytes,
        0,
      );
      assert.equal(held, modelBytes, 'the peers hold the model once between them');
      uses.forEach(({ peakBytes }, i) => {
        console.log(`${rig.peers[i].name}: at most ${(peakBytes / MEGABYTE).toFixed(1)} MB`);
        assert.ok(peakBytes <= BUDGET, `${rig.peers[i].name} took ${peakBytes} of ${BUDGET} bytes`);
      });
    });
  });

  it('is refused on two, with what is missing', { timeout: 200_000 }, async () => {
    await inRoom({ peers: 2, memoryBytes: [BUDGET, BUDGET] }, async (rig) => {
      await rig.start(config);
      const { run } = await rig.follow(({ run: { phase } }) => phase === 'failed' || phase === 'training', {
        timeoutMs: 120_000,
      });
      assert.equal(run.phase, 'failed');
      assert.match(
        run.message,
        /needs \d+ MB of memory and the room has 100 MB on 2 peers: \d+ MB are missing/,
      );
    });
  });
});
