import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { EmulatedCompute } from '../../client/engine/emulated.ts';
import { browserClock } from '../../client/link/clock.ts';
import type { BlockSpec, Compute, LayerState } from '../../client/ports/compute.ts';
import { add, batchNorm, dense, model as modelOf } from '../support/specs.ts';
import { blockOf, layersIn, newCompute, normals, optimizer, readAll } from './support.ts';

const ROWS = 4;
const UNITS = 6;

/** Layers a, then d of what a left and of what comes in meanwhile: in segments 0 and 2; segment 1 is idle. */
function apart(): BlockSpec {
  const model = modelOf(
    [UNITS],
    [
      dense('a', UNITS, { activation: 'tanh' }),
      dense('c', UNITS),
      add('s', ['a', 'c']),
      batchNorm('n'),
      dense('d', 5),
      dense('e', 3),
    ],
  );
  const block = blockOf(model, optimizer('adam'), { to: 5, rows: ROWS });
  const [{ input, ops, output }] = block.segments;
  const opsOf = (...names: string[]) => ops.filter(({ layer }) => names.includes(layer));
  const lastOf = (name: string) => opsOf(name).at(-1)!.output;
  return {
    ...block,
    segments: [
      { input, ops: opsOf('a'), output: lastOf('a'), share: 0.5 },
      { input: null, ops: [], output: null, share: 0 },
      { input: lastOf('c'), ops: opsOf('s', 'n', 'd'), output, share: 0.5 },
    ],
  };
}

const given = normals(ROWS * UNITS, 1);
const meanwhile = normals(ROWS * UNITS, 2);
/** The sum of two rows' is not finite any more. */
const tooLarge = new Float32Array(ROWS * UNITS).fill(3e38);

const forward = (compute: Compute, segment: number, input: Float32Array, change: object = {}) =>
  compute.forward({
    segment,
    micro: 3,
    step: 0,
    rows: ROWS,
    input: input.slice(),
    training: true,
    ...change,
  });

const backward = (compute: Compute, segment: number) =>
  compute.backward({ segment, micro: 3, gradient: normals(ROWS * (segment === 0 ? UNITS : 5), 9) });

async function opened(block: BlockSpec): Promise<Compute> {
  const compute = newCompute();
  await compute.load(block, []);
  return compute;
}

/** What comes of a micro-batch from segment 2 on, its step included. */
async function rest(
  compute: Compute,
): Promise<{ arrays: (Float32Array | undefined)[]; states: LayerState[] }> {
  const { output } = await forward(compute, 2, meanwhile);
  const { gradient } = await backward(compute, 2);
  const { gradient: first } = await backward(compute, 0);
  await compute.step({ counted: 1, learningRate: 0.1 });
  return { arrays: [output, gradient, first], states: await readAll([compute], layersIn(apart())) };
}

describe('a refused forward', () => {
  let compute: Compute;
  let untouched: Compute;

  beforeEach(async () => {
    compute = await opened(apart());
    untouched = await opened(apart());
    for (const each of [compute, untouched]) await forward(each, 0, given);
  });

  it('leaves what earlier segments left, and the next one gives what it would have given', async () => {
    const before = await compute.memory();
    for (let i = 0; i < 2; i++) {
      await assert.rejects(
        forward(compute, 2, tooLarge),
        /Output of micro-batch 3 at layers a to d has a number that is not finite/,
      );
    }
    const { tensors, bytes } = await compute.memory();
    assert.deepEqual([tensors, bytes], [before.tensors, before.bytes]);
    assert.deepEqual((await rest(compute)).arrays, (await rest(untouched)).arrays);
  });

  it('leaves what earlier segments left of an evaluation, too', async () => {
    const evaluated = { training: false };
    for (const each of [compute, untouched]) await forward(each, 0, given, evaluated);
    await assert.rejects(forward(compute, 2, tooLarge, evaluated), /not finite/);
    const { output } = await forward(compute, 2, meanwhile, evaluated);
    assert.deepEqual(output, (await forward(untouched, 2, meanwhile, evaluated)).output);
  });

  it('that came with other rows than its micro-batch leaves it alone', async () => {
    await assert.rejects(
      forward(compute, 2, new Float32Array(2 * UNITS), { rows: 2 }),
      /Forward of micro-batch 3 at layers a to d came with 2 rows after 4\./,
    );
    assert.deepEqual((await rest(compute)).arrays, (await rest(untouched)).arrays);
  });
});

describe('a pass out of order is refused', () => {
  let compute: Compute;
  let untouched: Compute;

  beforeEach(async () => {
    compute = await opened(apart());
    untouched = await opened(apart());
  });

  /** Whatever was refused, the micro-batch goes on as if nothing had been. */
  async function goesOn(): Promise<void> {
    await forward(untouched, 0, given);
    assert.deepEqual(await rest(compute), await rest(untouched));
  }

  for (const training of [true, false]) {
    it(`forward before that of an earlier segment, ${training ? 'in training' : 'in evaluation'}`, async () => {
      await assert.rejects(
        forward(compute, 2, meanwhile, { training }),
        /^Error: Forward of micro-batch 3 at layers a to d came to segment 2 before segment 0\.$/,
      );
      await forward(compute, 0, given);
      await goesOn();
    });
  }

  it('forward a second time', async () => {
    await forward(compute, 0, given);
    await assert.rejects(forward(compute, 0, meanwhile), /Forward of micro-batch 3 .* was already done/);
    await goesOn();
  });

  it('backward before that of a later segment, whether its forward has run or not', async () => {
    const early = /^Error: Backward of micro-batch 3 at layers a to d came to segment 0 before segment 2\.$/;
    await forward(compute, 0, given);
    await assert.rejects(backward(compute, 0), early);
    await assert.rejects(backward(compute, 2), /Backward of micro-batch 3 .* has no forward/);
    await goesOn();
    await forward(compute, 0, given);
    await forward(compute, 2, meanwhile);
    await assert.rejects(backward(compute, 0), early);
    await backward(compute, 2);
    await assert.rejects(backward(compute, 2), /Backward of micro-batch 3 .* was already done/);
    await assert.rejects(forward(compute, 2, meanwhile), /Forward of micro-batch 3 .* was already done/);
    await backward(compute, 0);
  });

  it('a segment that does not exist, or has nothing to do', async () => {
    const emulated = new EmulatedCompute(newCompute(), 1, browserClock);
    await emulated.load(apart(), []);
    for (const each of [compute, emulated]) {
      await forward(each, 0, given);
      for (const segment of [-1, 0.5, 3]) {
        const message = new RegExp(`There is no segment ${segment} of micro-batch 3 at layers a to d\\.$`);
        await assert.rejects(forward(each, segment, given), message);
        await assert.rejects(backward(each, segment), message);
      }
      const idle = /Segment 1 of micro-batch 3 at layers a to d is idle/;
      await assert.rejects(forward(each, 1, given), idle);
      await assert.rejects(backward(each, 1), idle);
    }
    await goesOn();
  });

  it('but an evaluation that was cut short begins anew', async () => {
    const evaluated = { training: false };
    const before = await compute.memory();
    await forward(compute, 0, meanwhile, evaluated);
    await forward(compute, 0, given, evaluated);
    const { output } = await forward(compute, 2, meanwhile, evaluated);
    await forward(untouched, 0, given, evaluated);
    assert.deepEqual(output, (await forward(untouched, 2, meanwhile, evaluated)).output);
    assert.equal((await compute.memory()).tensors, before.tensors);
  });
});

describe('what is kept to measure importance', () => {
  const model = modelOf([64], [dense('a', 48), dense('b', 32), dense('c', 24), dense('d', 3)]);
  const block = blockOf(model, optimizer('sgd'), { to: 3, rows: ROWS });
  /** The same with nothing to measure. */
  const unmeasured: BlockSpec = {
    ...block,
    segments: block.segments.map((segment) => ({
      ...segment,
      ops: segment.ops.map((op) => ({ ...op, measures: false })),
    })),
  };

  /** Bytes of one micro-batch after its forward, the most of it, and scores. */
  async function taken(spec: BlockSpec, measure: boolean) {
    const compute = await opened(spec);
    const { bytes } = await compute.memory();
    await forward(compute, 0, normals(ROWS * 64, 3), { measure });
    const between = (await compute.memory()).bytes - bytes;
    await compute.backward({ segment: 0, micro: 3, gradient: normals(ROWS * 24, 4) });
    const { peakBytes, accounted } = await compute.memory();
    const scores = (await compute.importance()).length;
    await compute.abandon();
    return { between, peak: peakBytes - bytes, activations: accounted.activationsBytes, scores };
  }

  it('is kept of the micro-batches that are measured', async () => {
    const { between, scores } = await taken(block, true);
    assert.equal(between, ROWS * (64 + 48 + 32 + 24) * 4);
    assert.equal(scores, 3);
  });

  it('is not kept of others: they take what they would if nothing were ever measured', async () => {
    const plain = await taken(block, false);
    assert.equal(plain.between, ROWS * (64 + 48 + 32) * 4);
    assert.equal(plain.scores, 0);
    assert.deepEqual(plain, await taken(unmeasured, false));
  });
});
