import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { Reference } from '../support/reference.ts';
import { asMap, batchesOf, worst, type Parameters } from './batches.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

const STEPS = 20;

/**
 * Delayed updates written down: micro-batch n (counted on through the steps) goes forward and backward, at a stage that may have c
 * micro-batches under way, on the weights after floor((n - c + 1) / m) updates; each m gradients make one update. Needs plain SGD.
 */
async function delayed(config: RunConfig, { stages, caps }: Plan): Promise<Parameters> {
  const { model, seed, optimizer, microBatches } = config;
  const reference = new Reference({ model, seed, optimizer });
  const graph = modelGraph(model);
  // A cut may go between a product and its bias, so it is parameters that have a stage, not layers.
  const capOf = new Map<string, number>(
    stages.flatMap(({ nodes: [start, end] }, s) =>
      graph.nodes
        .slice(start, end)

        .flatMap(({ parameters }) => parameters.map(({ name }) => [name, caps![s].kept] as const)),
    ),
  );
  const versions = [asMap(reference)];
  const batches = await batchesOf(config);
  batches.forEach((step, k) => {
    const next: Parameters = new Map([...versions[k]].map(([name, data]) => [name, data.slice()]));
    step.forEach((batch, i) => {
      const n = k * microBatches + i;
      const mixed: Parameters = new Map(
        [...versions[k].keys()].map((name) => {
          const version = Math.max(0, Math.floor((n - capOf.get(name)! + 1) / microBatches));
          return [name, versions[version].get(name)!];
        }),
      );
      reference.setParameters(mixed);
      reference.step([batch], learningRateAt(config, k));
      for (const [name, data] of asMap(reference)) {
        const before = mixed.get(name)!;
        const sum = next.get(name)!;
        data.forEach((value, j) => (sum[j] += (value - before[j]) / microBatches));
      }
    });
    versions.push(next);
  });
  reference.dispose();
  return versions.at(-1)!;
}

async function trained(config: RunConfig, peers: number, speeds?: number[]) {
  const room = new SimRoom(peers, speeds && { speeds });
  assert.ok(await room.settle());
  await room.train(config);
  const { record } = room.peers[0].swarm;
  assert.equal(record.phase, 'finished', record.message);
  const end = await room.parameters();
  room.close();
  return { end, plan: record.plan!, report: makeReport(record) };
}

const asyncConfig = (changes: Partial<RunConfig>): RunConfig =>
  tinyConfig({
    steps: STEPS,
    partition: 'auto',
    schedule: 'async',
    optimizer: { kind: 'sgd', learningRate: 0.1, decay: 'linear' },
    ...changes,
  });

describe('training without a flush', () => {
  const cases: [string, Partial<RunConfig>, number][] = [
    ['one device', { grid: { stages: 1, lanes: 1 } }, 1],
    ['two stages', { grid: { stages: 2, lanes: 1 } }, 2],
    ['four stages, more under way than a step has', { grid: { stages: 4, lanes: 1 }, microBatches: 2 }, 4],
    ['one micro-batch a step', { grid: { stages: 3, lanes: 1 }, microBatches: 1 }, 3],
    ['lanes', { grid: { stages: 1, lanes: 2 } }, 2],
    ['stages of lanes', { grid: { stages: 2, lanes: 2 } }, 4],
  ];
  for (const [name, changes, peers] of cases) {
    it(`is delayed updates, whatever the speeds: ${name}`, async () => {
      const config = asyncConfig(changes);
      const [even, uneven] = [
        await trained(config, peers),
        await trained(config, peers, [1, 0.4, 2, 0.7].slice(0, peers)),
      ];
      for (const { end, plan, report } of [even, uneven]) {
        const error = worst(end, await delayed(config, plan));
        assert.ok(error <= 1e-5, `worst relative error ${error}`);
        const { micro_batches: counts } = report;
        const blocks = plan.stages.flatMap(({ lanes }) => lanes).length;
        assert.deepEqual(counts, { whole: STEPS * config.microBatches * blocks, partial: 0, skipped: 0 });
        plan.caps!.forEach(({ kept }, s) =>
          assert.ok(kept <= plan.stages.length - s + 2, `${kept} at stage ${s}`),
        );
      }
    });
  }

  it('reports how stale weights were, within the bound', async () => {
    const { report, plan } = await trained(asyncConfig({ grid: { stages: 2, lanes: 1 } }), 2);
    const most = Math.max(...plan.caps!.map(({ kept }) => Math.ceil((kept - 1) / 4)));
    assert.equal(report.staleness.max, most);
    assert.ok(report.staleness.mean > 0 && report.staleness.mean < most);
    const sync = await trained(asyncConfig({ grid: { stages: 2, lanes: 1 }, schedule: 'sync' }), 2);
    assert.deepEqual(sync.report.staleness, { mean: 0, max: 0 });
  });

  it('goes on after a departure, and every micro-batch ends once', async () => {
    const room = new SimRoom(4);
    assert.ok(await room.settle());
    await room.start(asyncConfig({ grid: null, partition: 'vertical', steps: 60 }));
    await room.run(() => room.peers[0].swarm.record.steps.length >= 10);
    room.kill(3);
    await room.run(() => room.on.every((peer) => ['finished', 'failed'].includes(peer.swarm.record.phase)));
    const { record } = room.on[0].swarm;
    assert.equal(record.phase, 'finished', record.message);
    const steps = record.steps.map(({ step }) => step);
    assert.deepEqual(
      steps,
      [...steps].sort((a, b) => a - b),
    );
    assert.equal(record.final!.stepsDone, 60);
    room.close();
  });
});
