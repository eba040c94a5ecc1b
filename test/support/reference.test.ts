import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import type { ModelSpec } from '../../shared/model.ts';
import { layersModel, setWeights, weightsOf } from './layers-model.ts';
import { byteBatch, referenceBatch, relative } from './numbers.ts';
import { initialParameters, Reference, wholeParameters } from './reference.ts';
import {
  activation,
  add,
  batchNorm,
  conv,
  dense,
  depthwiseConv,
  dropout,
  flatten,
  layerNorm,
  model,
  pool,
  softmax,
} from './specs.ts';

const MODELS: Record<string, ModelSpec> = {
  'dense layers': model(
    [6],
    [dense('a', 5, { activation: 'tanh' }), dense('b', 4, { activation: 'sigmoid' }), dense('c', 3)],
  ),
  'convolutions with strides and pooling': model(
    [8, 7, 2],
    [
      conv('a', 3, 3, { activation: 'relu' }),
      pool('p', 'maxPooling2d'),
      conv('b', 4, 2, { strides: [2, 1], padding: 'valid', useBias: false }),
      pool('q', 'averagePooling2d', { padding: 'same' }),
      flatten(),
      dense('c', 3),
    ],
  ),
  'residual with projection and batch normalization': model(
    [6, 6, 3],
    [
      conv('a', 4, 3, { strides: [2, 2], useBias: false }),
      batchNorm('n'),
      activation('r', 'relu'),
      conv('b', 4, 3, { inputs: ['input'], strides: [2, 2] }),
      add('s', ['r', 'b']),
      { kind: 'leakyRelu', name: 'l', alpha: 0.2 },
      { kind: 'globalAveragePooling2d', name: 'g' },
      batchNorm('m'),
      dense('c', 3),
    ],
  ),
  'depthwise convolution, layer normalization, softmax in the middle, reshape': model(
    [5, 5, 2],
    [
      depthwiseConv('a', 2, 3, { activation: 'tanh' }),
      layerNorm('n'),
      depthwiseConv('b', 1, 3, { padding: 'valid', useBias: false }),
      { kind: 'reshape', name: 'r', shape: [36] },
      dense('d', 6),
      softmax('s'),
      layerNorm('m'),
      dense('c', 3),
    ],
  ),
};

before(async () => {
  await tf.setBackend('cpu');
});

for (const [title, spec] of Object.entries(MODELS)) {
  describe(`the reference and tfjs-layers: ${title}`, () => {
    const optimizer = { kind: 'sgd', learningRate: 0.1, decay: 'constant' } as const;
    const built = layersModel(spec);
    const reference = new Reference({ model: spec, seed: 3, optimizer });
    const batch = referenceBatch(byteBatch(spec.inputShape, 3, 8, 11));
    const inputs = tf.tensor(batch.inputs, [8, ...spec.inputShape]);
    setWeights(built, initialParameters(spec, 3));
    after(() => reference.dispose());

    it('have the same parameters', () => {
      const want = wholeParameters(spec).map(({ name, shape }) => `${name} ${shape.join()}`);
      const has = weightsOf(built).map(({ name, layer }) => `${name} ${layer.shape.join()}`);
      assert.deepEqual(has.sort(), want.sort());
    });

    it('give the same outputs, and the same parameters and moving statistics after two steps of SGD', async () => {
      const outputs = () => tf.softmax(built.predict(inputs) as tf.Tensor).dataSync<'float32'>();
      assert.ok(relative(reference.predict(batch.inputs, 8), outputs()) < 1e-6);
      built.compile({
        optimizer: tf.train.sgd(0.1),
        loss: (truth, scores) => tf.losses.softmaxCrossEntropy(truth, scores),
      });
      const onehot = tf.oneHot(tf.tensor1d(Array.from(batch.labels), 'int32'), 3);
      for (let step = 0; step < 2; step++) {
        const loss = await built.trainOnBatch(inputs, onehot);
        assert.ok(Math.abs((loss as number) - reference.step([batch], 0.1).loss) < 1e-5);
      }
      const trained = new Map(reference.parameters().map(({ name, data }) => [name, data]));
      for (const { name, values } of weightsOf(built)) {
        const error = relative(trained.get(name)!, values());
        assert.ok(error < 1e-5, `${name}: relative error ${error}`);
      }
      const error = relative(reference.predict(batch.inputs, 8), outputs());
      assert.ok(error < 1e-5, `outputs: relative error ${error}`);
    });
  });
}

describe('the reference by itself', () => {
  const optimizer = { kind: 'adam', learningRate: 0.01, decay: 'constant' } as const;

  it('drops what the mask of the layer, the step and the sample says, and scales the rest', () => {
    const spec = model([6], [dropout('d', 0.4), dense('c', 3, { useBias: false })]);
    const batch = referenceBatch(byteBatch([6], 3, 4, 5));
    const lossAt = (step: number, samples?: number[]) => {
      const reference = new Reference({ model: spec, seed: 3, optimizer });
      const { loss } = reference.step([samples ? { ...batch, samples } : batch], 0.01, step);
      reference.dispose();
      return loss;
    };
    assert.equal(lossAt(2), lossAt(2, [0, 1, 2, 3]));
    assert.notEqual(lossAt(2), lossAt(3));
    assert.notEqual(lossAt(2), lossAt(2, [4, 5, 6, 7]));
  });

  it('leaves no tensors behind', () => {
    const spec = MODELS['residual with projection and batch normalization'];
    const reference = new Reference({ model: spec, seed: 3, optimizer });
    const batches = [1, 2].map((key) => referenceBatch(byteBatch(spec.inputShape, 3, 4, key)));
    reference.step(batches, 0.01);
    const { numTensors } = tf.memory();
    reference.step(batches, 0.01);
    reference.predict(batches[0].inputs, 4);
    assert.equal(tf.memory().numTensors, numTensors);
    reference.dispose();
  });
});
