import assert from 'node:assert/strict';
import { it } from 'node:test';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import { conv, dense, flatten, model } from './specs.ts';
import { quickenFilterGradient } from './filter-gradient.ts';
import { byteBatch, referenceBatch } from './numbers.ts';
import { Reference } from './reference.ts';

it('gives the gradient of a filter that tfjs gives, bit for bit', () => {
  const spec = model(
    [9, 8, 2],
    [
      conv('a', 3, 5, { activation: 'tanh' }),
      conv('b', 4, 3, { strides: [2, 1], padding: 'valid', useBias: false }),
      conv('c', 5, 2, { strides: [2, 2] }),
      flatten(),
      dense('d', 3),
    ],
  );
  const trained = () => {
    const optimizer = { kind: 'sgd', learningRate: 0.1, decay: 'constant' } as const;
    const reference = new Reference({ model: spec, seed: 3, optimizer });
    for (let step = 0; step < 3; step++) {
      reference.step([referenceBatch(byteBatch(spec.inputShape, 3, 5, step))], 0.1, step);
    }
    const found = reference.parameters();
    reference.dispose();
    return found;
  };
  const own = trained();
  const undo = quickenFilterGradient();
  const quick = trained();
  undo();
  assert.deepEqual(quick, own);
});
