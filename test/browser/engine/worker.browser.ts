import { expect } from '@open-wc/testing';
import { openCompute } from '../../../client/engine/open-compute.ts';
import type { WorkerCompute } from '../../../client/engine/worker-compute.ts';
import type { Activation } from '../../../shared/model.ts';
import { digits, digitsBlock, ratio, RUNS_OF_LAYERS, trainStep } from '../../engine/memory-ratio.ts';
import {
  batch,
  blockOf,
  layersIn,
  distance,
  mlp,
  newCompute,
  optimizer,
  parametersOf,
  readAll,
  relative,
  through,
} from '../../engine/support.ts';
import { Reference } from '../../support/reference.ts';
import { failure, inWorker, WORKER_URL } from './computes.ts';

const KINDS = ['sgd', 'momentum', 'adam'] as const;
/** Odd everywhere: the packed textures have padding on all edges; the first kernel has several tiles. */
const odd = (activation: Activation) => mlp([61, 47, 23, 7], activation);
const ROWS = 9;

describe('WebGL in a worker', () => {
  let compute: WorkerCompute;

  before(async () => {
    compute = await inWorker();
  });
  after(() => {
    compute.close();
  });

  it('is what this browser gets, without a note', () => {
    const { onProcessor, ...device } = compute.device;
    expect(device).to.deep.equal({
      backend: 'webgl',
      where: 'worker',
      note: '',
      grain: 4,
      emulatedMs: null,
      memoryBytes: null,
    });
    // Whether there is a graphics processor is the machine's business.
    const gl = document.createElement('canvas').getContext('webgl2')!;
    const info = gl.getExtension('WEBGL_debug_renderer_info');
    const renderer = String(gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    expect(onProcessor).to.equal(/swiftshader|llvmpipe|software/i.test(renderer));
  });

  for (const kind of KINDS) {
    it(`updates as one device does with ${kind}, within 1e-3 per step`, async () => {
      const config = optimizer(kind, 0.02);
      const model = odd('tanh');
      const reference = new Reference({ model, seed: 7, optimizer: config });
      const block = blockOf(model, config, { rows: ROWS });
      await compute.load(block, []);
      for (let step = 0; step < 6; step++) {
        const batches = [batch(model, ROWS, 2 * step), batch(model, ROWS, 2 * step + 1)];
        const before = reference.parameters();
        for (const [micro, each] of batches.entries()) await through([compute], micro, each);
        const mine = parametersOf(await readAll([compute], layersIn(block)));
        const { metrics } = await compute.step({ counted: 2, learningRate: 0.02 });
        const { loss, correct } = reference.step(batches, 0.02);
        expect(metrics!.lossSum / metrics!.samples).to.be.closeTo(loss, 1e-4 * loss);
        expect(metrics!.correct).to.equal(correct);
        const after = parametersOf(await readAll([compute], layersIn(block)));
        reference.parameters().forEach(({ name, data }, i) => {
          const expected = data.map((value, at) => value - before[i].data[at]);
          const update = after[i].data.map((value, at) => value - mine[i].data[at]);
          expect(relative(update, expected), `${name}, step ${step}`).to.be.below(1e-3);
        });
      }
      reference.dispose();
    });
  }

  for (const activation of ['linear', 'relu', 'tanh', 'sigmoid'] as const) {
    it(`has the CPU's outputs and gradients with ${activation}`, async () => {
      const model = odd(activation);
      const block = blockOf(model, optimizer('sgd'), { to: 2, rows: ROWS });
      const cpu = newCompute();
      const results: Float32Array[][] = [];
      for (const device of [compute, cpu]) {
        await device.load(block, []);
        const { inputs, rows } = batch(model, ROWS, 3);
        const { output } = await device.forward({
          segment: 0,
          step: 0,
          micro: 0,
          rows,
          input: inputs,
          training: true,
        });
        const { gradient } = await device.backward({ segment: 0, micro: 0, gradient: output!.slice() });
        await device.step({ counted: 1, learningRate: 0.1 });
        const parameters = parametersOf(await readAll([device], layersIn(block)));
        results.push([output!, gradient!, ...parameters.map(({ data }) => data)]);
      }
      results[0].forEach((array, i) => {
        expect(relative(array, results[1][i]), `array ${i}`).to.be.below(1e-5);
      });
      cpu.close();
    });
  }

  it("evaluates to the CPU's loss and count", async () => {
    const model = odd('relu');
    const block = blockOf(model, optimizer('sgd'), { rows: ROWS });
    const cpu = newCompute();
    const metrics = [];
    for (const device of [compute, cpu]) {
      await device.load(block, []);
      const { inputs, labels, rows } = batch(model, 101, 4);
      metrics.push(
        (
          await device.forward({
            segment: 0,
            step: 0,
            micro: 0,
            rows,
            input: inputs,
            labels,
            training: false,
          })
        ).metrics!,
      );
    }
    expect(metrics[0].lossSum).to.be.closeTo(metrics[1].lossSum, 1e-4 * metrics[1].lossSum);
    expect(metrics[0].correct).to.equal(metrics[1].correct);
    cpu.close();
  });

  for (const kind of KINDS) {
    it(`peaks within 1.2 times what it must hold, and is flat over steps (${kind})`, async () => {
      for (const inFlight of [1, 4]) {
        for (const [from, to] of RUNS_OF_LAYERS) {
          const block = digitsBlock(kind, from, to);
          await compute.load(block, []);
          const loaded = await compute.memory();
          await trainStep(compute, block, 4, inFlight);
          await trainStep(compute, block, 4, inFlight);
          const after = await compute.memory();
          const where = `layers ${from} to ${to}, ${inFlight} in flight`;
          expect(after.tensors, where).to.equal(loaded.tensors);
          expect(after.bytes, where).to.equal(loaded.bytes);
          expect(ratio(after), where).to.be.within(0.9, 1.2);
        }
      }
    });
  }

  it('hands a state over to the CPU and back', async () => {
    const model = odd('tanh');
    const block = blockOf(model, optimizer('adam'), { rows: ROWS });
    const cpu = newCompute();
    await compute.load(block, []);
    await through([compute], 0, batch(model, ROWS, 1));
    await compute.step({ counted: 1, learningRate: 0.01 });
    const states = await readAll([compute], layersIn(block));
    await cpu.load(block, states);
    const back = await readAll([cpu], layersIn(block));
    expect(back).to.deep.equal(states);
    await compute.load(block, back);
    expect(distance(parametersOf(await readAll([compute], layersIn(block))), parametersOf(states))).to.equal(
      0,
    );
    cpu.close();
  });

  it('moves inputs in and results out, and is none the worse for errors', async () => {
    const model = odd('relu');
    const block = blockOf(model, optimizer('sgd'), { to: 1, rows: ROWS });
    await compute.load(block, []);
    const { tensors } = await compute.memory();
    const { inputs, rows } = batch(model, ROWS, 5);
    const { output } = await compute.forward({
      segment: 0,
      step: 0,
      micro: 0,
      rows,
      input: inputs,
      training: true,
    });
    expect(inputs.length).to.equal(0);
    expect(output!.length).to.equal(ROWS * 47);
    const again = compute.forward({
      segment: 0,
      step: 0,
      micro: 0,
      rows,
      input: new Float32Array(ROWS * 61),
      training: true,
    });
    expect(await failure(again)).to.contain('Forward of micro-batch 0 at layer dense1 was already done');
    await compute.backward({ segment: 0, micro: 0, gradient: output! });
    expect(output!.length).to.equal(0);
    await compute.forward({
      segment: 0,
      step: 0,
      micro: 1,
      rows,
      input: new Float32Array(ROWS * 61),
      training: true,
    });
    await compute.abandon();
    expect((await compute.memory()).tensors).to.equal(tensors);
  });

  it('profiles every layer', async () => {
    const alone = (from: number) => blockOf(digits, optimizer('sgd'), { from, to: from + 1, rows: 32 });
    const costs = await compute.profile([alone(0), alone(1), alone(2)]);
    expect(costs.length).to.equal(3);
    for (const { forwardMs, backwardMs } of costs) expect(Math.min(forwardMs, backwardMs)).to.be.above(0);
    expect(costs[0].forwardMs).to.be.above(costs[2].forwardMs);
  });
});

describe('a device that was told to use the CPU', () => {
  it('says so, and computes', async () => {
    const compute = await openCompute({ emulatedMs: null, workerUrl: WORKER_URL, force: 'cpu' });
    expect(compute.device.backend).to.equal('cpu');
    expect(compute.device.where).to.equal('worker');
    expect(compute.device.note).to.contain('on the CPU because it was told to');
    const block = digitsBlock('adam', 2, 4);
    await compute.load(block, []);
    await trainStep(compute, block, 2, 2);
    compute.close();
    expect(await failure(compute.memory())).to.contain('closed');
  });
});

describe('an emulated device in a worker', () => {
  it('takes its time', async () => {
    const compute = await openCompute({ emulatedMs: 300, workerUrl: WORKER_URL });
    expect(compute.device.emulatedMs).to.equal(300);
    const model = odd('relu');
    const block = blockOf(model, optimizer('sgd'), { rows: ROWS });
    const segments = block.segments.map((segment) => ({ ...segment, share: 0.5 }));
    await compute.load({ ...block, segments }, []);
    const start = performance.now();
    const { inputs, labels, rows } = batch(model, ROWS, 5);
    await compute.forward({ segment: 0, step: 0, micro: 0, rows, input: inputs, labels, training: true });
    expect(performance.now() - start).to.be.above(145);
    compute.close();
  });
});
