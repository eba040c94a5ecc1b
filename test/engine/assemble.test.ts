import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { loadLayersModel } from '@tensorflow/tfjs-layers';
import { assembleModel } from '../../client/engine/assemble.ts';
import { Reference } from '../support/reference.ts';
import {
  batch,
  blockOf,
  layersIn,
  mlp,
  newCompute,
  optimizer,
  readAll,
  relative,
  through,
} from './support.ts';

const model = mlp([9, 8, 7, 4], 'tanh');

it('assembles a model that predicts what the blocks do', async () => {
  const reference = new Reference({ model, seed: 7, optimizer: optimizer('momentum') });
  const blocks = [
    blockOf(model, optimizer('momentum'), { to: 2 }),
    blockOf(model, optimizer('momentum'), { from: 2 }),
  ];
  const computes = [newCompute(), newCompute()];
  await Promise.all(computes.map((compute, i) => compute.load(blocks[i], [])));
  await through(computes, 0, batch(model, 8, 1));
  await Promise.all(computes.map((compute) => compute.step({ counted: 1, learningRate: 0.1 })));
  reference.step([batch(model, 8, 1)], 0.1);

  const states = await readAll(computes, layersIn(blockOf(model, optimizer('momentum'))));
  const before = tf.memory().numTensors;
  const artifacts = await assembleModel(model, states);
  const saved = await loadLayersModel(tf.io.fromMemory(artifacts));
  assert.deepEqual(
    saved.layers.slice(1).map(({ name }) => name),
    ['dense1', 'dense2', 'dense3'],
  );
  const { inputs } = batch(model, 20, 3);
  const output = tf.tidy(() => saved.predict(tf.tensor2d(inputs.slice(), [20, 9])) as tf.Tensor);
  const probabilities = output.dataSync<'float32'>().slice();
  assert.ok(relative(probabilities, reference.predict(inputs, 20)) < 1e-5);
  assert.ok(Math.abs(probabilities.slice(0, 4).reduce((sum, p) => sum + p, 0) - 1) < 1e-6);

  tf.dispose(output);
  saved.dispose();
  assert.equal(tf.memory().numTensors, before);
  reference.dispose();
  computes.forEach((compute) => {
    compute.close();
  });
});

it('names the layer whose state is missing', async () => {
  await assert.rejects(assembleModel(model, []), /a part of dense1\/kernel is missing/);
});
