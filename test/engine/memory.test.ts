import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs-core';
import { digitsBlock, ratio, RUNS_OF_LAYERS, trainStep } from './memory-ratio.ts';
import { newCompute } from './support.ts';

describe('memory of a block on the CPU', () => {
  for (const kind of ['sgd', 'momentum', 'adam'] as const) {
    it(`peaks within 1.2 times what it must hold, and is flat over steps (${kind})`, async () => {
      for (const inFlight of [1, 4]) {
        for (const [from, to] of RUNS_OF_LAYERS) {
          const compute = newCompute();
          const block = digitsBlock(kind, from, to);
          await compute.load(block, []);
          const loaded = await compute.memory();
          await trainStep(compute, block, 4, inFlight);
          await trainStep(compute, block, 4, inFlight);
          const after = await compute.memory();
          compute.close();
          const where = `layers ${from} to ${to}, ${inFlight} in flight`;
          assert.equal(after.tensors, loaded.tensors, where);
          assert.equal(after.bytes, loaded.bytes, where);
          assert.ok(ratio(after) <= 1.2, `${where}: ${ratio(after)}`);
          assert.ok(ratio(after) > 0.9, `${where}: ${ratio(after)} means that the peak was not seen`);
        }
      }
    });
  }

  it('sees short-lived tensors in the peak', async () => {
    const compute = newCompute();
    const block = digitsBlock('sgd', 1, 2);
    await compute.load(block, []);
    const { bytes, peakBytes } = await compute.memory();
    await compute.forward({
      segment: 0,
      step: 0,
      micro: 0,
      rows: 32,
      input: new Float32Array(32 * 256),
      training: false,
    });
    const after = await compute.memory();
    assert.equal(after.bytes, bytes);
    assert.equal(after.peakBytes - bytes, 32 * (256 + 128) * 4);
    assert.equal(peakBytes, bytes);
    compute.close();
  });

  it('is all given back', async () => {
    const before = tf.memory().numTensors;
    const compute = newCompute();
    const block = digitsBlock('adam', 0, 4);
    await compute.load(block, []);
    await compute.profile([digitsBlock('sgd', 1, 2)]);
    await trainStep(compute, block, 2, 2);
    await compute.forward({
      segment: 0,
      step: 0,
      micro: 9,
      rows: 1,
      input: new Uint8Array(784),
      labels: new Uint8Array(1),
      training: true,
    });
    await compute.load(block, []);
    await compute.unload();
    assert.equal(tf.memory().numTensors, before);
    compute.close();
  });
});
