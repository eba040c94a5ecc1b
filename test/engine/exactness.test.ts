import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { OptimizerConfig } from '../../shared/model.ts';
import { Reference } from '../support/reference.ts';
import {
  batch,
  blockOf,
  layersIn,
  distance,
  mlp,
  newCompute,
  optimizer,
  parametersOf,
  readAll,
  through,
} from './support.ts';

const MICROS = 3;
const KINDS: OptimizerConfig['kind'][] = ['sgd', 'momentum', 'adam'];
const model = mlp([30, 24, 18, 12, 5], 'tanh');

/** Trains computes that hold `model` split at `cuts` for some steps; gives the states at the end. */
async function train(
  config: OptimizerConfig,
  cuts: number[],
  steps: number,
  onStep?: (loss: number) => void,
) {
  const edges = [0, ...cuts, model.layers.length];
  const computes = edges.slice(1).map(() => newCompute());
  for (const [i, compute] of computes.entries()) {
    await compute.load(blockOf(model, config, { from: edges[i], to: edges[i + 1] }), []);
  }
  for (let step = 0; step < steps; step++) {
    for (let micro = 0; micro < MICROS; micro++)
      await through(computes, micro, batch(model, 8, step * MICROS + micro));
    for (const compute of computes) {
      const { metrics } = await compute.step({
        counted: MICROS,
        learningRate: config.learningRate / (1 + step),
      });
      if (metrics) onStep?.(metrics.lossSum / metrics.samples);
    }
  }
  const states = await readAll(computes, layersIn(blockOf(model, config)));
  computes.forEach((compute) => {
    compute.close();
  });
  return states;
}

for (const kind of KINDS) {
  describe(`training with ${kind}`, () => {
    const config = optimizer(kind, 0.05);

    it('equals tfjs on one device after 20 steps, weights and losses', async () => {
      const reference = new Reference({ model, seed: 7, optimizer: config });
      const losses: number[] = [];
      const states = await train(config, [], 20, (loss) => losses.push(loss));
      for (let step = 0; step < 20; step++) {
        const batches = Array.from({ length: MICROS }, (_, micro) => batch(model, 8, step * MICROS + micro));
        const { loss } = reference.step(batches, config.learningRate / (1 + step));
        assert.ok(
          Math.abs(losses[step] - loss) < 1e-5 * loss,
          `step ${step}: ${losses[step]} is not ${loss}`,
        );
      }
      const error = distance(parametersOf(states), reference.parameters());
      reference.dispose();
      assert.ok(error < 1e-5, `relative error ${error}`);
    });

    it('is the same however the model is split', async () => {
      const whole = parametersOf(await train(config, [], 10));
      for (const cuts of [[2], [1, 2, 3]]) {
        assert.equal(distance(parametersOf(await train(config, cuts, 10)), whole), 0);
      }
    });
  });
}
