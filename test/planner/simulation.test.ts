import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom, tinyConfig } from '../simulation/sim-room.ts';

/** Operations that keep simulated devices busy for some milliseconds. */
const WIDTHS = [300, 200, 200];
const STEPS = 12;

async function stepTimes(
  config: RunConfig,
  speeds: number[],
  latencyMs: number,
): Promise<{ predictedMs: number; measuredMs: number }> {
  const room = new SimRoom(speeds.length, { speeds });
  for (const { id: a } of room.peers)
    for (const { id: b } of room.peers) if (a < b) room.network.shape(a, b, { latencyMs });
  assert.ok(await room.settle());
  const ends: number[] = [];
  await room.start(config);
  await room.run(() => room.peers[0].swarm.record.plan !== null);
  const { plan } = room.peers[0].swarm.record;
  const { lanes, owner } = plan!.stages.at(-1)!;
  room.peers.find(({ id }) => id === lanes[owner])!.device.onStep = () => ends.push(room.time.nowMs);
  await room.run(() => room.peers.every(({ swarm }) => swarm.record.phase === 'finished'));
  room.close();
  const steady = ends.slice(2);
  return {
    predictedMs: plan!.predicted.stepMs,
    measuredMs: (steady[steady.length - 1] - steady[0]) / (steady.length - 1),
  };
}

describe('a room on virtual time takes as long for a step as predicted, within 2%:', () => {
  const cases: [string, Partial<RunConfig>, number[], number][] = [
    ['two stages of two lanes', { grid: { stages: 2, lanes: 2 } }, [1, 1, 1, 1], 2],
    ['two stages of two lanes, uneven', { grid: { stages: 2, lanes: 2 } }, [1, 0.5, 2, 1], 2],
    ['two stages of two lanes, far apart', { grid: { stages: 2, lanes: 2 } }, [1, 0.5, 2, 1], 20],
    ['one stage of four lanes', { grid: { stages: 1, lanes: 4 } }, [1, 0.5, 2, 1], 5],
    ['four stages', { grid: { stages: 4, lanes: 1 } }, [1, 0.5, 2, 1], 5],
    [
      'three stages of two lanes, eight micro-batches',
      { grid: { stages: 3, lanes: 2 }, batch: 64, microBatches: 8 },
      [1, 0.5, 2, 1, 1, 1],
      5,
    ],
    ['four stages without a flush', { grid: { stages: 4, lanes: 1 }, schedule: 'async' }, [1, 0.5, 2, 1], 5],
    [
      'four stages, sixteen micro-batches, far apart',
      { grid: { stages: 4, lanes: 1 }, batch: 64, microBatches: 16 },
      [1, 1, 1, 1],
      20,
    ],
  ];
  for (const [name, changes, speeds, latencyMs] of cases) {
    it(name, async () => {
      const config = tinyConfig({ widths: WIDTHS, partition: 'auto', steps: STEPS, ...changes });
      const { predictedMs, measuredMs } = await stepTimes(config, speeds, latencyMs);
      const ratio = predictedMs / measuredMs;
      assert.ok(ratio > 0.98 && ratio < 1.02, `${predictedMs} ms predicted, ${measuredMs} ms measured`);
    });
  }
});
