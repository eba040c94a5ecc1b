import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import type { LayerState } from '../../client/ports/compute.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { Reference, type ReferenceBatch } from '../support/reference.ts';
import { asMap, batchesOf, worst, type Parameters } from './batches.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

async function trainInRoom(
  peers: number,
  config: RunConfig,
): Promise<{ end: Parameters; states: Parameters[] }> {
  const room = new SimRoom(peers);
  const states: Parameters[] = [];
  const seen = new Map<string, number>();
  for (const peer of room.peers) {
    peer.device.onStep = (layers: LayerState[]) => {
      for (const layer of layers) {
        const step = seen.get(layer.layer) ?? 0;
        seen.set(layer.layer, step + 1);
        states[step] ??= new Map<string, Float32Array>();
        for (const { name, data } of layer.parameters) states[step].set(name, data);
      }
    };
  }
  assert.ok(await room.settle(), 'the room settles on a coordinator');
  await room.train(config);
  assert.equal(room.peers[0].swarm.record.phase, 'finished', room.peers[0].swarm.record.message);
  const end = await room.parameters();
  room.close();
  return { end, states };
}

describe('training in a room equals training on one device', () => {
  for (const kind of ['sgd', 'momentum', 'adam'] as const) {
    const learningRate = kind === 'adam' ? 0.01 : 0.1;
    const config = tinyConfig({ steps: 100, optimizer: { kind, learningRate, decay: 'linear' } });
    for (const peers of [1, 2, 3, 4]) {
      it(`${kind} on ${peers} peers: every tensor within 1e-5 after 100 steps`, async () => {
        const reference = new Reference({
          model: config.model,
          seed: config.seed,
          optimizer: config.optimizer,
        });
        const batches = await batchesOf(config);
        batches.forEach((step, i) => reference.step(step, learningRateAt(config, i)));
        const { end } = await trainInRoom(peers, config);
        const error = worst(end, asMap(reference));
        reference.dispose();
        assert.ok(error <= 1e-5, `worst relative error ${error}`);
      });
    }
  }

  it('ReLU: from equal state, at least 98% of the updates are within 1e-4, and errors do not grow beyond rounding', async () => {
    const optimizer = { kind: 'sgd', learningRate: 0.1, decay: 'constant' } as const;
    const config = tinyConfig({ steps: 100, activation: 'relu', optimizer });
    const batches = await batchesOf(config);
    const newReference = () => new Reference({ model: config.model, seed: config.seed, optimizer });
    const { end, states } = await trainInRoom(4, config);
    const single = newReference();
    const start = asMap(single);
    let close = 0;
    batches.forEach((step, i) => {
      const from = i === 0 ? start : states[i - 1];
      single.setParameters(from);
      single.step(step, learningRateAt(config, i));
      const update = (to: Parameters): Parameters =>
        new Map([...to].map(([name, data]) => [name, data.map((x, j) => x - from.get(name)![j])]));
      if (worst(update(states[i]), update(asMap(single))) <= 1e-4) close++;
    });
    single.dispose();
    assert.ok(close >= 98, `only ${close} of 100 updates are within 1e-4`);

    const plain = newReference();
    const reordered = newReference();
    batches.forEach((step, i) => {
      plain.step(step, learningRateAt(config, i));
      reordered.step(step.map(reversed).reverse(), learningRateAt(config, i));
    });
    const roundingError = worst(asMap(reordered), asMap(plain));
    const error = worst(end, asMap(plain));
    plain.dispose();
    reordered.dispose();
    assert.ok(
      error <= 10 * roundingError,
      `error ${error}, the reference's own by another order of sums ${roundingError}`,
    );
  });
});

/** The same samples in reverse order: another order of summation. */
function reversed({ inputs, labels, rows }: ReferenceBatch): ReferenceBatch {
  const width = inputs.length / rows;
  const order = Array.from({ length: rows }, (_, i) => rows - 1 - i);
  return {
    rows,
    inputs: Float32Array.from(order.flatMap((row) => [...inputs.subarray(row * width, (row + 1) * width)])),
    labels: Uint8Array.from(order, (row) => labels[row]),
  };
}
