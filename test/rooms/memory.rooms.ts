import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import type { PeerPage } from '../../client/cli/peer-page.ts';
import { inRoom } from './support.ts';

const MEGABYTE = 1024 * 1024;
const LOOKS = 30;

interface Range {
  least: number;
  most: number;
}

interface Usage {
  tensors: Range;
  bytes: Range;
  /** JavaScript heap of the page, after collecting garbage. */
  heapBytes: number;
}

/** A step under way holds activations and sums, so one look says little: the range over some steps does. */
async function usageOf(peer: PeerPage): Promise<Usage> {
  const looks = await peer.page.evaluate(async (count) => {
    const { room } = (
      globalThis as unknown as {
        edgepipe: { room: { memory(): Promise<{ tensors: number; bytes: number }> } };
      }
    ).edgepipe;
    const seen = [];
    for (let i = 0; i < count; i++) {
      seen.push(await room.memory());
      await new Promise((resolve) => setTimeout(resolve, (7 * i) % 13));
    }
    return seen;
  }, LOOKS);
  const session = await peer.page.context().newCDPSession(peer.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return {
    tensors: rangeOf(looks.map((look) => look.tensors)),
    bytes: rangeOf(looks.map((look) => look.bytes)),
    heapBytes: usedSize,
  };
}

const rangeOf = (values: number[]): Range => ({ least: Math.min(...values), most: Math.max(...values) });

const show = ({ tensors, heapBytes }: Usage): string =>
  `${tensors.least} to ${tensors.most} tensors, ${(heapBytes / MEGABYTE).toFixed(1)} MB heap`;

describe('memory', () => {
  it('is flat between step 50 and step 500', { timeout: 400_000 }, async () => {
    await inRoom({ peers: 2 }, async (rig) => {
      // Longer than 500 steps, so that the last looks are at training too.
      const choices = {
        model: 'mlp:32-16-16',
        batch: 32,
        microBatches: 2,
        steps: 5_000,
        partition: 'vertical',
      } as const;
      await rig.start(runConfig({ ...choices, onDeparture: 'continue' }));
      const at = async (step: number): Promise<Usage[]> => {
        const { run } = await rig.follow(
          (room) => room.run.stepsDone >= step || room.run.phase === 'failed',
          {
            timeoutMs: 240_000,
          },
        );
        assert.equal(run.phase, 'training', run.message);
        return Promise.all(rig.peers.map(usageOf));
      };
      const early = await at(50);
      const late = await at(500);
      early.forEach((before, i) => {
        const now = late[i];
        console.log(`${rig.peers[i].name}: ${show(before)} -> ${show(now)}`);
        // One tensor kept by each step would put the least far above what was the most.
        assert.ok(now.tensors.least <= before.tensors.most, `tensors: ${show(before)} -> ${show(now)}`);
        assert.ok(
          now.bytes.least <= before.bytes.most,
          `bytes: from ${before.bytes.most} to ${now.bytes.least}`,
        );
        // The record of 450 steps takes its place; a part kept by each step would take far more.
        assert.ok(now.heapBytes <= before.heapBytes + 3 * MEGABYTE, `heap: ${show(before)} -> ${show(now)}`);
      });
    });
  });
});
