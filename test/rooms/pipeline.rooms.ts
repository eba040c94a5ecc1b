import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { layersOf } from '../../client/partition/stages.ts';
import { isWork } from '../../client/pipeline/timeline.ts';
import { inRoom } from './support.ts';

/** Share of the time from the first to the last task in which at least `count` of the peers worked. */
function shareBusy(work: readonly (readonly { startMs: number; endMs: number }[])[], count: number): number {
  const startMs = Math.min(...work.flat().map((span) => span.startMs));
  const endMs = Math.max(...work.flat().map((span) => span.endMs));
  const ticks = 5_000;
  let busy = 0;
  for (let tick = 0; tick < ticks; tick++) {
    const at = startMs + ((endMs - startMs) * tick) / ticks;
    if (work.filter((spans) => spans.some((span) => span.startMs <= at && at < span.endMs)).length >= count)
      busy++;
  }
  return busy / ticks;
}

describe('the pipeline in real browsers', () => {
  it(
    'keeps at least three of four emulated devices busy at once at least half of the time',
    { timeout: 240_000 },
    async () => {
      // Slow enough that the processor under all four, measured by all at once, does not make them look unequal.
      const deviceMs = 400;
      await inRoom({ peers: 4, deviceMs: Array<number>(4).fill(deviceMs) }, async (rig) => {
        // Eight equal layers of 784 units; the loss head's ten units add 1.3% to one of the stages.
        const widths = Array<number>(8).fill(784).join('-');
        const config = runConfig({
          model: `mlp:${widths}`,
          partition: 'vertical',
          microBatches: 8,
          batch: 64,
          steps: 8,
        });
        await rig.start({ ...config, onDeparture: 'continue' });
        const { run, peers } = await rig.follow(
          ({ run: { phase } }) => phase === 'evaluating' || phase === 'failed',
          {
            timeoutMs: 180_000,
          },
        );
        assert.equal(run.stepsDone, 8, run.message);
        assert.deepEqual(
          run.plan!.stages.map((stage) => layersOf(modelGraph(config.model), stage).length).sort(),
          [2, 2, 2, 3],
        );
        for (const peer of peers) assert.equal(peer.device.emulatedMs, deviceMs);
        const work = await Promise.all(rig.peers.map(async (peer) => (await peer.spans()).filter(isWork)));
        const share = shareBusy(work, 3);
        console.log(
          `three or more stages busy ${(100 * share).toFixed(1)}% of the time, all four ${(100 * shareBusy(work, 4)).toFixed(1)}%`,
        );
        assert.ok(share >= 0.5, `three stages were busy ${(100 * share).toFixed(1)}% of the time`);
      });
    },
  );
});
