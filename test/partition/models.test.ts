import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertEqualTraining, newTally, tallySteps } from '../support/training.ts';
import type { ModelName } from './named-models.ts';
import { referenceOf, trainingOf, worstTensor, type GridShape, type Kind } from './named-trainings.ts';

type Case = [grid: GridShape, kind: Kind];

/** Every model on every grid, every model with every optimizer, every grid with every optimizer. */
const SMOOTH: Record<ModelName, Case[]> = {
  mlp: [
    [[1, 1], 'sgd'],
    [[4, 1], 'momentum'],
    [[1, 4], 'adam'],
    [[2, 2], 'sgd'],
    [[2, 3], 'momentum'],
    [[3, 2], 'adam'],
  ],
  cnn: [
    [[1, 1], 'momentum'],
    [[4, 1], 'adam'],
    [[1, 4], 'sgd'],
    [[2, 2], 'momentum'],
    [[2, 3], 'adam'],
    [[3, 2], 'sgd'],
  ],
  resnet: [
    [[1, 1], 'adam'],
    [[4, 1], 'sgd'],
    [[1, 4], 'momentum'],
    [[2, 2], 'adam'],
    [[2, 3], 'sgd'],
    [[3, 2], 'momentum'],
  ],
};

for (const name of ['mlp', 'cnn', 'resnet'] as const) {
  describe(`100 steps of ${name} with tanh and average pooling equal plain tfjs to 1e-5`, () => {
    for (const [grid, kind] of SMOOTH[name]) {
      it(`${grid.join(' x ')}, ${kind}`, async (t) => {
        const tally = newTally();
        const training = trainingOf(name, 'smooth', kind, grid);
        await assertEqualTraining(training, 1e-5, tally, referenceOf(training));
        t.diagnostic(
          `${name} ${grid.join(' x ')} ${kind}: worst ${tally.worst.toExponential(1)} of ${tally.tensors} tensors`,
        );
        assert.equal(tally.rounding, 0, 'tensors made of rounding');
      });
    }
  });
}

const KINKED: Record<ModelName, Case[]> = {
  mlp: [
    [[1, 4], 'sgd'],
    [[3, 2], 'adam'],
  ],
  cnn: [
    [[2, 2], 'momentum'],
    [[2, 3], 'momentum'],
  ],
  resnet: [
    [[2, 2], 'sgd'],
    [[3, 2], 'sgd'],
  ],
};

for (const name of ['mlp', 'cnn', 'resnet'] as const) {
  describe(`100 steps of ${name} with ReLU: at least 98 updates within 1e-4 from equal state, and an end as near as rounding lets it be`, () => {
    for (const [grid, kind] of KINKED[name]) {
      it(`${grid.join(' x ')}, ${kind}`, async (t) => {
        const training = trainingOf(name, 'kinked', kind, grid);
        const tally = { steps: 0, close: 0 };
        const end = await tallySteps(training, 1e-4, tally, false);
        const plain = referenceOf(training).parameters;
        const own = worstTensor(referenceOf(training, 2).parameters, plain).error;
        const { error } = worstTensor(end, plain);
        t.diagnostic(
          `${name} ${grid.join(' x ')} ${kind}: ${tally.close} of ${tally.steps} updates; ` +
            `error at the end ${error.toExponential(1)}, the reference's own ${own.toExponential(1)}`,
        );
        assert.ok(tally.close >= 98, `only ${tally.close} of ${tally.steps} updates are that close`);
        assert.ok(error <= 10 * own, `error ${error}, the reference's own by another order of sums ${own}`);
      });
    }
  });
}
