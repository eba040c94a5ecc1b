import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertProperty, isReplay } from '../support/property.ts';
import { trainingArbitrary } from '../support/random-training.ts';
import { assertEqualTraining, newTally, tallySteps } from '../support/training.ts';

describe('training any cut of any model equals training it on one device', () => {
  const smooth = 'smooth: every tensor within 1e-5 of plain tfjs, and the loss of every step';
  it(smooth, async (t) => {
    const tally = newTally();
    await assertProperty(
      { file: import.meta.url, test: smooth, seed: 1, runs: 150 },
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
      { file: import.meta.url, test: kinked, seed: 2, runs: 100 },
      trainingArbitrary('kinked'),
      async (training) => {
        await tallySteps(training, 1e-4, tally);
      },
    );
    t.diagnostic(`${tally.close} of ${tally.steps} steps`);
    assert.ok(
      tally.close >= 0.98 * tally.steps,
      `only ${tally.close} of ${tally.steps} updates are that close`,
    );
  });
});
