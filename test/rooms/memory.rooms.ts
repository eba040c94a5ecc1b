import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import type { PeerPage } from '../../client/cli/peer-page.ts';
import { inRoom } from './support.ts';

const MEGABYTE = 1024 * 1024;

interface Usage {
  tensors: number;
  bytes: number;
  /** JavaScript heap of the page, after collecting garbage. */
  heapBytes: number;
}

async function usageOf(peer: PeerPage): Promise<Usage> {
  const { tensors, bytes } = await peer.page.evaluate(() =>
    (
      globalThis as unknown as {
        edgepipe: { room: { memory(): Promise<{ tensors: number; bytes: number }> } };
      }
    ).edgepipe.room.memory(),
  );
  const session = await peer.page.context().newCDPSession(peer.page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return { tensors, bytes, heapBytes: usedSize };
}

describe('memory', () => {
  it('is flat between step 50 and step 500', { timeout: 400_000 }, async () => {
    await inRoom({ peers: 2 }, async (rig) => {
      await rig.start(
        runConfig({ model: 'mlp:32-16-16', batch: 32, microBatches: 2, steps: 520, onDeparture: 'continue' }),
      );
      const at = async (step: number) => {
        await rig.follow(({ run }) => run.stepsDone >= step || run.phase === 'failed', {
          timeoutMs: 240_000,
        });
        // A step under way holds activations: the least of a few looks is the state between steps.
        const looks: Usage[][] = [];
        for (let i = 0; i < 4; i++) looks.push(await Promise.all(rig.peers.map(usageOf)));
        return rig.peers.map((_, peer) => ({
          tensors: Math.min(...looks.map((look) => look[peer].tensors)),
          bytes: Math.min(...looks.map((look) => look[peer].bytes)),
          heapBytes: Math.min(...looks.map((look) => look[peer].heapBytes)),
        }));
      };
      const early = await at(50);
      const late = await at(500);
      early.forEach((before, i) => {
        const now = late[i];
        console.log(
          `${rig.peers[i].name}: tensors ${before.tensors} -> ${now.tensors}, heap ${(before.heapBytes / MEGABYTE).toFixed(1)} -> ${(now.heapBytes / MEGABYTE).toFixed(1)} MB`,
        );
        assert.ok(now.tensors <= before.tensors + 4, `tensors grew from ${before.tensors} to ${now.tensors}`);
        // The record of 450 steps and the data chunks in memory take their place; a leaked part a step would take far more.
        assert.ok(
          now.heapBytes <= before.heapBytes + 3 * MEGABYTE,
          `the heap grew from ${before.heapBytes} to ${now.heapBytes} bytes`,
        );
      });
    });
  });
});
