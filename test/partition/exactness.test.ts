import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertProperty, isReplay } from '../support/property.ts';
import { trainingArbitrary } from '../support/random-training.ts';
import { add, dense, model as modelOf } from '../support/specs.ts';
import { assertEqualTraining, newTally, tallySteps, type Training } from '../support/training.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { spaceOf, stagesOf } from './cuts.ts';
import { BESIDE } from './models-by-hand.ts';

describe('training any cut of any model equals training it on one device', () => {
  const smooth = 'smooth: every tensor within 1e-5 of plain tfjs, and the loss of every step';
  it(smooth, async (t) => {
    const tally = newTally();
    await assertProperty(
      { file: import.meta.url, test: smooth, seed: 1, runs: 300 },
      trainingArbitrary('smooth'),
      (training) => assertEqualTraining(training, 1e-5, tally),
    );
    t.diagnostic(`${tally.tensors} tensors, worst ${tally.worst}, ${tally.rounding} made of rounding`);
    assert.ok(isReplay || tally.rounding <= 0.05 * tally.tensors, `${tally.rounding} of ${tally.tensors}`);
  });

  const kinked = 'ReLU and max pooling: from equal state, at least 98% of updates within 1e-4';
  it(kinked, async (t) => {
    const tally = { steps: 0, close: 0 };
    await assertProperty(
      { file: import.meta.url, test: kinked, seed: 2, runs: 200 },
      trainingArbitrary('kinked'),
      async (training) => {
        const own = { steps: 0, close: 0 };
        await tallySteps(training, 1e-4, own, true);
        tally.steps += own.steps;
        tally.close += own.close;
        // A kink is passed now and then; what is wrong in most steps is wrong.
        assert.ok(own.close >= own.steps / 2, `only ${own.close} of ${own.steps} updates are that close`);
      },
    );
    t.diagnostic(`${tally.close} of ${tally.steps} steps`);
    assert.ok(
      isReplay || tally.close >= 0.98 * tally.steps,
      `only ${tally.close} of ${tally.steps} updates are that close`,
    );
  });
});

describe('a lane that has no part in an exchange', () => {
  const trainingOf = (model: ModelSpec, stages: Stage[]): Training => ({
    model,
    stages,
    orders: [],
    optimizer: { kind: 'momentum', learningRate: 0.05, decay: 'constant' },
    seed: 5,
    rows: 6,
    microBatches: 2,
    steps: 3,
    classes: 3,
  });

  it('sends what it made before it, and works on beside it, in training and evaluation', async () => {
    const stages = stagesOf(BESIDE, (layer) => ('cd'.includes(layer) ? 'rows' : 'columns'), [
      { shares: [1, 1] },
    ]);
    await assertEqualTraining(trainingOf(BESIDE, stages), 1e-5, newTally());
  });

  it('may send last of all what it made first', async () => {
    const model = modelOf(
      [3],
      [
        dense('a', 2, { useBias: false }),
        dense('b', 2, { inputs: ['input'], useBias: false }),
        add('s', ['a', 'b']),
        dense('c', 3),
      ],
    );
    // Lane 1 has all the inputs and so all of a and b; only the owner reads their sum. First a is sent, then b.
    const stage: Stage = {
      nodes: [0, 5],
      splits: ['rows', 'rows', 'copies', 'owner', 'owner'],
      lanes: ['p0', 'p1'],
      slicings: [{ space: spaceOf(model, 'input'), cuts: [0, 0, 3] }],
      owner: 0,
      deputy: 1,
    };
    await assertEqualTraining(trainingOf(model, [stage]), 1e-5, newTally());
  });
});
