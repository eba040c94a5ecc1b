import assert from 'node:assert/strict';
import { it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { freshState, optimizerOf, type Slot } from '../../client/engine/optimizers.ts';
import { cpu, normals, relative } from './support.ts';

const make = {
  sgd: () => tf.train.sgd(0.02),
  momentum: () => tf.train.momentum(0.02, 0.9),
  adam: () => tf.train.adam(0.02),
};

for (const kind of ['sgd', 'momentum', 'adam'] as const) {
  it(`${kind} moves a parameter as tfjs does, over 60 updates`, () => {
    const start = normals(40, 5);
    const theirs = tf.variable(tf.tensor2d(start.slice(), [8, 5]));
    const tfjs = make[kind]();
    const optimizer = optimizerOf(kind);
    const slot: Slot = { value: tf.tensor2d(start.slice(), [8, 5]), state: freshState(optimizer, 8, 5) };
    for (let updates = 0; updates < 60; updates++) {
      // Down to where Adam's epsilon rules.
      const gradient = normals(40, 100 + updates).map((value, i) => value * 10 ** -(i % 9));
      tf.tidy(() => {
        tfjs.applyGradients([{ name: theirs.name, tensor: tf.tensor2d(gradient, [8, 5]) }]);
      });
      const sum = tf.tensor2d(
        gradient.map((value) => value * 4),
        [8, 5],
      );
      optimizer.update(slot, sum, { kernels: cpu.kernels, learningRate: 0.02, scale: 1 / 4, updates });
    }
    const error = relative(slot.value.dataSync<'float32'>(), theirs.dataSync<'float32'>());
    assert.ok(error < 1e-6, `relative error ${error}`);
    tf.dispose([theirs, slot.value, slot.state]);
    tfjs.dispose();
  });
}
