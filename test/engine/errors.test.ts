import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import type { Compute, LayerState } from '../../client/ports/compute.ts';
import { batchNorm, dense, model as modelOf } from '../support/specs.ts';
import { batch, blockOf, layersIn, mlp, newCompute, optimizer, readAll, through } from './support.ts';

const model = mlp([6, 5, 4, 3], 'relu');
const head = blockOf(model, optimizer('adam'));
const middle = blockOf(model, optimizer('adam'), { from: 0, to: 2 });
const { inputs, labels, rows } = batch(model, 4, 1);

const forward = (compute: Compute, micro: number, change: object = {}) =>
  compute.forward({
    segment: 0,
    step: 0,
    micro,
    rows,
    input: inputs.slice(),
    labels,
    training: true,
    ...change,
  });

describe('a block', () => {
  let compute: Compute;
  let loaded: { tensors: number; states: LayerState[] };

  beforeEach(async () => {
    compute = newCompute();
    await compute.load(head, []);
    loaded = { tensors: (await compute.memory()).tensors, states: await readAll([compute], layersIn(head)) };
  });

  /** Still as it was, and still able to train. */
  async function goesOn(): Promise<void> {
    await compute.abandon();
    assert.equal((await compute.memory()).tensors, loaded.tensors);
    assert.deepEqual(await readAll([compute], layersIn(head)), loaded.states);
    await through([compute], 0, batch(model, 4, 2));
    const { metrics } = await compute.step({ counted: 1, learningRate: 0.01 });
    assert.equal(metrics!.samples, 4);
    assert.equal((await compute.memory()).tensors, loaded.tensors);
    compute.close();
  }

  const refusals: [string, RegExp, () => Promise<unknown>][] = [
    [
      'an input of a wrong size',
      /Input of micro-batch 3 at layers dense1 to dense3 has 5 numbers, not 24/,
      () => forward(compute, 3, { input: new Float32Array(5) }),
    ],
    [
      'bytes where numbers belong',
      /should be 32-bit numbers/,
      () => forward(compute, 3, { input: new Uint8Array(24) }),
    ],
    [
      'an input with a NaN',
      /Input of micro-batch 3.*not finite/,
      () => forward(compute, 3, { input: inputs.map((v, i) => (i === 5 ? NaN : v)) }),
    ],
    ['missing labels', /without labels/, () => forward(compute, 3, { labels: undefined })],
    [
      'a label that is no class',
      /Label 3 of micro-batch 2/,
      () => forward(compute, 2, { labels: new Uint8Array([0, 1, 3, 0]) }),
    ],
    [
      'too few labels',
      /labels of micro-batch 2.*has 1 numbers, not 4/,
      () => forward(compute, 2, { labels: new Uint8Array(1) }),
    ],
    ['no rows', /rows of micro-batch 2/, () => forward(compute, 2, { rows: 0 })],
    [
      'a backward without a forward',
      /Backward of micro-batch 8 .*no forward/,
      () => compute.backward({ segment: 0, micro: 8 }),
    ],
    [
      'a step of minus one micro-batches',
      /counted in a step is -1/,
      () => compute.step({ counted: -1, learningRate: 1 }),
    ],
    [
      'a learning rate that is no number',
      /learning rate NaN/,
      () => compute.step({ counted: 1, learningRate: NaN }),
    ],
    [
      'reading a layer that it does not hold',
      /Layer dense9 is not in this block/,
      () => compute.read('dense9'),
    ],
    [
      'state with a NaN',
      /State of layer dense1: dense1\/kernel.*not finite/,
      () => compute.load(head, poisoned(loaded.states)),
    ],
    [
      'state of a wrong shape',
      /dense2\/kernel has shape \[2,2\], not \[5,4\]/,
      () => compute.load(head, misshapen(loaded.states)),
    ],
    [
      'state of a layer that it does not hold',
      /dense7, which is not in the block/,
      () => compute.load(head, [{ layer: 'dense7', updates: 0, parameters: [], optimizer: [] }]),
    ],
    [
      'half of an optimizer state',
      /dense1\/kernel:v is missing/,
      () => compute.load(head, [{ ...loaded.states[0], optimizer: loaded.states[0].optimizer.slice(0, 1) }]),
    ],
  ];
  for (const [what, message, attempt] of refusals) {
    it(`refuses ${what} and goes on`, async () => {
      await assert.rejects(attempt(), message);
      await goesOn();
    });
  }

  it('refuses a second forward of the same micro-batch, keeping the first', async () => {
    await forward(compute, 1);
    await assert.rejects(forward(compute, 1), /Forward of micro-batch 1 .*already done/);
    await compute.backward({ segment: 0, micro: 1 });
    await assert.rejects(compute.backward({ segment: 0, micro: 1 }), /no forward/);
    await goesOn();
  });

  it('refuses a gradient of a wrong size or with infinities, keeping the forward', async () => {
    const open = newCompute();
    await open.load(middle, []);
    await forward(open, 1);
    await assert.rejects(open.backward({ segment: 0, micro: 1 }), /came without a gradient/);
    await assert.rejects(
      open.backward({ segment: 0, micro: 1, gradient: new Float32Array(3) }),
      /has 3 numbers, not 16/,
    );
    const bad = new Float32Array(16).fill(Infinity);
    await assert.rejects(
      open.backward({ segment: 0, micro: 1, gradient: bad }),
      /Gradient of micro-batch 1.*not finite/,
    );
    const { gradient } = await open.backward({ segment: 0, micro: 1, gradient: new Float32Array(16) });
    assert.equal(gradient!.length, 24);
    open.close();
  });

  it('refuses a step whose loss is not finite', async () => {
    const huge = structuredClone(loaded.states);
    huge.forEach(({ parameters }) => parameters[0].data.fill(3e38));
    await compute.load(head, huge);
    await forward(compute, 0, { input: new Float32Array(24).fill(1e30) });
    await assert.rejects(
      compute.step({ counted: 1, learningRate: 1 }),
      /loss after layer dense3 is not finite/,
    );
    await compute.load(head, loaded.states);
    await goesOn();
  });

  it('refuses to send on outputs and gradients that are not finite', async () => {
    const open = newCompute();
    const huge = structuredClone(loaded.states.slice(0, 2));
    await open.load(middle, []);
    await forward(open, 0);
    const gradient = new Float32Array(16).fill(3e38);
    await assert.rejects(
      open.backward({ segment: 0, micro: 0, gradient }),
      /Input gradient of micro-batch 0.*not finite/,
    );
    await assert.rejects(open.step({ counted: 1, learningRate: 1 }), /abandon the step/);
    await open.abandon();
    await open.step({ counted: 0, learningRate: 1 });
    huge.forEach(({ parameters }) => parameters[0].data.fill(3e38));
    await open.load(middle, huge);
    await assert.rejects(
      forward(open, 0, { input: new Float32Array(24).fill(9) }),
      /Output of micro-batch 0.*not finite/,
    );
    open.close();
  });

  it('learns no moving statistics from a forward that is refused', async () => {
    const spec = modelOf([6], [batchNorm('n'), dense('d', 4), dense('last', 3)]);
    const block = blockOf(spec, optimizer('sgd'), { to: 2 });
    const [open, untouched] = [newCompute(), newCompute()];
    for (const each of [open, untouched]) await each.load(block, []);
    const tooLarge = new Float32Array(24).fill(3e38);
    await assert.rejects(forward(open, 0, { input: tooLarge }), /Output of micro-batch 0 .*not finite/);
    const states: LayerState[] = [];
    for (const each of [open, untouched]) {
      await forward(each, 0);
      await each.backward({ segment: 0, micro: 0, gradient: new Float32Array(16).fill(0.1) });
      await each.step({ counted: 1, learningRate: 0.1 });
      states.push(await each.read('n'));
      each.close();
    }
    const mean = states[1].parameters.find(({ name }) => name === 'n/moving_mean')!;
    assert.ok(mean.data.every((value) => value !== 0));
    assert.deepEqual(states[0], states[1]);
  });

  it('forgets micro-batches in flight and sums when told to abandon', async () => {
    await through([compute], 0, batch(model, 4, 9));
    await forward(compute, 1);
    await compute.abandon();
    await assert.rejects(compute.backward({ segment: 0, micro: 1 }), /no forward/);
    await goesOn();
  });

  it('serves calls in order, a failing one among them', async () => {
    const results = await Promise.allSettled([
      forward(compute, 0),
      compute.backward({ segment: 0, micro: 7 }),
      compute.backward({ segment: 0, micro: 0 }),
      compute.step({ counted: 1, learningRate: 0.1 }),
    ]);
    assert.deepEqual(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
    );
    compute.close();
  });

  it('evaluates any number of rows and keeps nothing', async () => {
    const many = batch(model, 33, 4);
    const { metrics } = await forward(compute, 0, { ...many, input: many.inputs, training: false });
    assert.equal(metrics!.samples, 33);
    assert.ok(metrics!.lossSum > 0 && metrics!.correct <= 33);
    await assert.rejects(compute.backward({ segment: 0, micro: 0 }), /no forward/);
    await goesOn();
  });

  it('says so when nothing is loaded, or when it was closed', async () => {
    await compute.unload();
    await assert.rejects(forward(compute, 0), /No block is loaded/);
    compute.close();
    await assert.rejects(forward(compute, 0), /was closed/);
  });
});

function poisoned(states: readonly LayerState[]): LayerState[] {
  const copy = structuredClone([...states]);
  copy[0].parameters[0].data[7] = NaN;
  return copy;
}

function misshapen(states: readonly LayerState[]): LayerState[] {
  const copy = structuredClone([...states]);
  copy[1].parameters[0] = {
    name: 'dense2/kernel',
    shape: [2, 2],
    data: new Float32Array(4),
    entries: [null, null],
  };
  return copy;
}
