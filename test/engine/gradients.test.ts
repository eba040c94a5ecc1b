import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import type { BlockSpec } from '../../client/ports/compute.ts';
import type { Activation } from '../../shared/model.ts';
import '../support/reference.ts';
import { blockOf, mlp, newCompute, normals, optimizer, relative } from './support.ts';

const ROWS = 5;
const INPUTS = 7;
const UNITS = 6;

/** The first layer of a model of two. */
const block = (activation: Activation): BlockSpec => {
  const model = mlp([INPUTS, UNITS, 2], activation);
  return blockOf(
    { ...model, layers: model.layers.map((spec, i) => ({ ...spec, name: i === 0 ? 'd' : 'e' })) },
    optimizer('sgd'),
    { to: 1, rows: ROWS, seed: 3 },
  );
};

const x = normals(ROWS * INPUTS, 1);
const dy = normals(ROWS * UNITS, 2);

/** One forward and backward by the block; the weight gradients are what SGD with rate 1 takes away. */
async function byBlock(activation: Activation) {
  const compute = newCompute();
  await compute.load(block(activation), []);
  const [kernel, bias] = (await compute.read('d')).parameters;
  const { output } = await compute.forward({
    segment: 0,
    step: 0,
    micro: 0,
    rows: ROWS,
    input: x.slice(),
    training: true,
  });
  const { gradient } = await compute.backward({ segment: 0, micro: 0, gradient: dy.slice() });
  await compute.step({ counted: 1, learningRate: 1 });
  const after = (await compute.read('d')).parameters;
  compute.close();
  const difference = (a: Float32Array, b: Float32Array) => a.map((value, i) => value - b[i]);
  return {
    kernel: kernel.data,
    bias: bias.data,
    output: output!,
    gradients: [gradient!, difference(kernel.data, after[0].data), difference(bias.data, after[1].data)],
  };
}

const activate = {
  linear: <T extends tf.Tensor>(t: T) => t,
  relu: tf.relu,
  tanh: tf.tanh,
  sigmoid: tf.sigmoid,
};

for (const activation of ['linear', 'relu', 'tanh', 'sigmoid'] as const) {
  describe(`a dense layer with ${activation}`, () => {
    it("has the output and gradients of tfjs's own", async () => {
      const mine = await byBlock(activation);
      const arrays = tf.tidy(() => {
        const f = (a: tf.Tensor, w: tf.Tensor, b: tf.Tensor) =>
          activate[activation](tf.add(tf.matMul(a, w), b));
        const args = [
          tf.tensor2d(x.slice(), [ROWS, INPUTS]),
          tf.tensor2d(mine.kernel, [INPUTS, UNITS]),
          tf.tensor1d(mine.bias),
        ] as const;
        const gradients = tf.grads(f)([...args], tf.tensor2d(dy.slice(), [ROWS, UNITS]));
        return [f(...args), ...gradients].map((tensor) => tensor.dataSync<'float32'>().slice());
      });
      [mine.output, ...mine.gradients].forEach((array, i) => {
        assert.ok(relative(array, arrays[i]) < 1e-6, `array ${i} is off by ${relative(array, arrays[i])}`);
      });
    });

    it('has the gradients of finite differences', async () => {
      const { kernel, bias, gradients } = await byBlock(activation);
      const scalar: Record<Activation, (z: number) => number> = {
        linear: (z) => z,
        relu: (z) => Math.max(0, z),
        tanh: Math.tanh,
        sigmoid: (z) => 1 / (1 + Math.exp(-z)),
      };
      const loss = (xs: Float64Array, w: Float64Array, b: Float64Array) => {
        let sum = 0;
        for (let row = 0; row < ROWS; row++) {
          for (let unit = 0; unit < UNITS; unit++) {
            let z = b[unit];
            for (let i = 0; i < INPUTS; i++) z += xs[row * INPUTS + i] * w[i * UNITS + unit];
            sum += dy[row * UNITS + unit] * scalar[activation](z);
          }
        }
        return sum;
      };
      const args = [x, kernel, bias].map((array) => Float64Array.from(array));
      const step = 1e-6;
      args.forEach((array, which) => {
        const numeric = Float32Array.from(array, (value, i) => {
          const at = (v: number) => {
            array[i] = v;
            return loss(args[0], args[1], args[2]);
          };
          const slope = (at(value + step) - at(value - step)) / (2 * step);
          array[i] = value;
          return slope;
        });
        const error = relative(gradients[which], numeric);
        assert.ok(error < 1e-5, `gradient ${which} is off by ${error}`);
      });
    });
  });
}
