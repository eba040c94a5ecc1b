import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TfCompute } from '../../client/engine/tf-compute.ts';
import type { BlockSpec, LayerState } from '../../client/ports/compute.ts';
import {
  batchNorm,
  conv,
  dense,
  depthwiseConv,
  flatten,
  layerNorm,
  model as modelOf,
} from '../support/specs.ts';
import { blockOf, layersIn, newCompute, normals, optimizer, readAll } from './support.ts';

const ROWS = 4;
const OUTPUTS = 5;

/** Everything that has parameters, in one block. */
const spec = modelOf(
  [6, 6, 2],
  [
    conv('conv', 3, 3),
    batchNorm('batch'),
    depthwiseConv('each', 2, 3),
    flatten(),
    dense('wide', 8, { activation: 'tanh' }),
    layerNorm('layer'),
    dense('last', OUTPUTS),
    dense('head', 3),
  ],
);
const block: BlockSpec = blockOf(spec, optimizer('adam'), { to: spec.layers.length - 1, rows: ROWS });

const forward = (compute: TfCompute, micro: number, more: { step?: number; age?: number } = {}) =>
  compute.forward({
    segment: 0,
    micro,
    step: 0,
    rows: ROWS,
    training: true,
    input: normals(ROWS * 72, micro),
    ...more,
  });
const backward = (compute: TfCompute, micro: number, defer: boolean) =>
  compute.backward({ segment: 0, micro, defer, gradient: normals(ROWS * OUTPUTS, 50 + micro) });
const weights = (compute: TfCompute, ...micros: number[]) => compute.weights({ segment: 0, micros });

async function open(): Promise<TfCompute> {
  const compute = newCompute();
  await compute.load(block, []);
  return compute;
}

const statesOf = (compute: TfCompute): Promise<LayerState[]> => readAll([compute], layersIn(block));

function assertClose(actual: LayerState[], expected: LayerState[]): void {
  actual.forEach(({ parameters, layer }, i) =>
    parameters.forEach(({ name, data }, k) => {
      const wanted = expected[i].parameters[k].data;
      const most = Math.max(...data.map((x, j) => Math.abs(x - wanted[j])));
      assert.ok(most < 1e-6, `${layer}, ${name}: ${most}`);
    }),
  );
}

describe('a deferred weight gradient', () => {
  it('gives the same step as one that is not, with every kind of layer', async () => {
    const [now, later] = [await open(), await open()];
    for (let step = 0; step < 3; step++) {
      for (const micro of [0, 1, 2]) for (const each of [now, later]) await forward(each, micro, { step });
      for (const micro of [0, 1, 2]) {
        const [a, b] = [await backward(now, micro, false), await backward(later, micro, true)];
        assert.deepEqual(a.gradient, b.gradient);
      }
      for (const micro of [0, 1, 2]) await weights(later, micro);
      for (const each of [now, later]) await each.step({ counted: 3, learningRate: 0.01 });
    }
    assertClose(await statesOf(later), await statesOf(now));
    now.close();
    later.close();
  });

  it('may be one sum over several micro-batches', async () => {
    // Adam would make a step of the rounding: a bias before batch normalization has no gradient.
    const plain = { ...block, optimizer: optimizer('sgd') };
    const [now, together] = [newCompute(), newCompute()];
    for (const each of [now, together]) await each.load(plain, []);
    for (const micro of [0, 1, 2]) {
      for (const each of [now, together]) await forward(each, micro);
      await backward(now, micro, false);
      await backward(together, micro, true);
    }
    await weights(together, 0, 1, 2);
    for (const each of [now, together]) await each.step({ counted: 3, learningRate: 0.5 });
    assertClose(await statesOf(together), await statesOf(now));
    now.close();
    together.close();
  });

  it('leaves nothing behind: memory is flat over steps', async () => {
    const compute = await open();
    const held: number[] = [];
    for (let step = 0; step < 6; step++) {
      for (const micro of [0, 1]) await forward(compute, micro, { step });
      for (const micro of [0, 1]) await backward(compute, micro, true);
      await weights(compute, ...(step % 2 ? [0] : [0, 1]));
      if (step % 2) await weights(compute, 1);
      await compute.step({ counted: 2, learningRate: 0.01 });
      const { tensors, bytes } = await compute.memory();
      held.push(tensors, bytes);
    }
    assert.deepEqual(held.slice(2), [...held.slice(0, -2)]);
    compute.close();
  });

  it('counts as activations while it is pending', async () => {
    const [now, later] = [await open(), await open()];
    for (const [compute, defer] of [
      [now, false],
      [later, true],
    ] as const) {
      for (const micro of [0, 1, 2]) {
        await forward(compute, micro);
        await backward(compute, micro, defer);
      }
    }
    const activations = async (compute: TfCompute) => (await compute.memory()).accounted.activationsBytes;
    assert.ok((await activations(later)) > 2 * (await activations(now)));
    now.close();
    later.close();
  });

  it('is refused where there is none, and a step that comes before it', async () => {
    const compute = await open();
    await assert.rejects(
      weights(compute, 0),
      /No weight gradients of segment 0 of micro-batch 0 .* are pending/,
    );
    await forward(compute, 0);
    await assert.rejects(weights(compute, 0), /are pending/);
    await backward(compute, 0, true);
    await assert.rejects(backward(compute, 0, true), /already done/);
    await assert.rejects(compute.weights({ segment: 7, micros: [0] }), /segment 7/);
    await assert.rejects(
      compute.step({ counted: 1, learningRate: 0.1 }),
      /The step came before the weight gradients of micro-batch 0/,
    );
    await weights(compute, 0);
    await assert.rejects(weights(compute, 0), /are pending/);
    const plain = await open();
    await forward(plain, 0);
    await backward(plain, 0, false);
    for (const each of [plain, compute]) await each.step({ counted: 1, learningRate: 0.1 });
    assertClose(await statesOf(compute), await statesOf(plain));
    compute.close();
    plain.close();
  });

  it('is dropped when the step is abandoned', async () => {
    const compute = await open();
    const { tensors } = await compute.memory();
    await forward(compute, 0);
    await backward(compute, 0, true);
    await compute.abandon();
    assert.equal((await compute.memory()).tensors, tensors);
    await assert.rejects(weights(compute, 0), /are pending/);
    compute.close();
  });
});

describe('versions of the weights', () => {
  const pass = async (compute: TfCompute, micro: number, more: { step: number; age?: number }) => {
    const { output } = await forward(compute, micro, more);
    const { gradient } = await backward(compute, micro, true);
    await weights(compute, micro);
    return { output, gradient };
  };
  const STEP = { counted: 1, learningRate: 0.05 };

  it('a micro-batch goes back with the weights that it went forward with', async () => {
    const [straight, crossed] = [await open(), await open()];
    const { output } = await forward(straight, 1, { step: 1 });
    const { gradient } = await backward(straight, 1, true);
    await forward(crossed, 0);
    const early = await forward(crossed, 1, { step: 1 });
    await backward(crossed, 0, true);
    await weights(crossed, 0);
    await crossed.step({ ...STEP, step: 0 });
    const late = await backward(crossed, 1, true);
    assert.deepEqual(early.output, output);
    assert.deepEqual(late.gradient, gradient);
    straight.close();
    crossed.close();
  });

  it('older ones are there as long as they were asked for, and no longer', async () => {
    const compute = await open();
    const first = await pass(compute, 0, { step: 0 });
    const { tensors } = await compute.memory();
    await compute.step({ ...STEP, step: 0, keeps: 1 });
    const again = await pass(compute, 0, { step: 1, age: 1 });
    assert.deepEqual(again, first);
    assert.notDeepEqual((await pass(compute, 1, { step: 1 })).output, first.output);
    await assert.rejects(
      forward(compute, 2, { step: 1, age: 2 }),
      /weights of 2 steps ago, which are not kept/,
    );
    await compute.step({ ...STEP, counted: 2, step: 1 });
    await assert.rejects(forward(compute, 2, { step: 2, age: 1 }), /which are not kept/);
    await pass(compute, 0, { step: 2 });
    assert.equal((await compute.memory()).tensors, tensors);
    compute.close();
  });

  it('the same number of two steps may be under way: the earlier step is meant first', async () => {
    const compute = await open();
    await forward(compute, 0, { step: 0 });
    await forward(compute, 0, { step: 1 });
    await assert.rejects(forward(compute, 0, { step: 1 }), /already done/);
    for (let k = 0; k < 2; k++) await backward(compute, 0, true);
    await weights(compute, 0);
    await compute.step({ ...STEP, step: 0 });
    await assert.rejects(compute.step({ ...STEP, step: 1 }), /came before/);
    await weights(compute, 0);
    await compute.step({ ...STEP, step: 1 });
    await assert.rejects(backward(compute, 0, true), /no forward/);
    compute.close();
  });

  it('a micro-batch that is left out adds nothing, wherever it was', async () => {
    const skip = (compute: TfCompute, micro: number) => compute.skip({ step: 0, micro, segment: 0 });
    const [plain, skipping] = [await open(), await open()];
    for (const compute of [plain, skipping]) {
      await forward(compute, 0);
      if (compute === skipping) {
        await forward(compute, 1);
        await skip(compute, 1);
        await forward(compute, 2);
        await backward(compute, 2, true);
        await skip(compute, 2);
        await skip(compute, 3);
      }
      await backward(compute, 0, false);
      await compute.step({ counted: 1, learningRate: 0.01 });
    }
    const states = await statesOf(skipping);
    assert.deepEqual(states, await statesOf(plain));
    assert.equal((await skipping.memory()).tensors, (await plain.memory()).tensors);
    await assert.rejects(backward(skipping, 1, false), /no forward to go back over/);
  });
});
