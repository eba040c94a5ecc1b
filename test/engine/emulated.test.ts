import assert from 'node:assert/strict';
import { beforeEach, describe, it } from 'node:test';
import { EmulatedCompute } from '../../client/engine/emulated.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type { BlockSpec, Compute } from '../../client/ports/compute.ts';
import { batch, blockOf, mlp, newCompute, optimizer } from './support.ts';

/** Time that passes only when somebody waits for it, or when the test says so. */
class FakeClock implements Clock {
  time = 100;
  now = () => this.time;
  after = (delayMs: number, action: () => void) => {
    queueMicrotask(() => {
      this.time += delayMs;
      action();
    });
    return () => undefined;
  };
}

const model = mlp([6, 8, 3], 'relu');
const whole = blockOf(model, optimizer('sgd'), { rows: 4 });
const quarter = (block: BlockSpec): BlockSpec => ({
  ...block,
  segments: block.segments.map((segment) => ({ ...segment, share: 0.25 })),
});
const block = quarter(whole);
const { inputs, labels, rows } = batch(model, 4, 1);

describe('an emulated device', () => {
  let clock: FakeClock;
  let inner: Compute;
  let device: EmulatedCompute;
  /** Milliseconds that the real device takes for a forward. */
  let realMs: number;

  beforeEach(async () => {
    clock = new FakeClock();
    realMs = 0;
    inner = newCompute();
    const forward = inner.forward.bind(inner);
    inner.forward = (task) => {
      clock.time += realMs;
      return forward(task);
    };
    device = new EmulatedCompute(inner, 80, clock);
    await device.load(block, []);
  });

  async function lasts(work: () => Promise<unknown>): Promise<number> {
    const start = clock.time;
    await work();
    return clock.time - start;
  }
  const forward = (micro: number, training = true, copies = 1) =>
    device.forward({
      segment: 0,
      step: 0,
      micro,
      rows: rows * copies,
      input: Float32Array.from({ length: inputs.length * copies }, (_, i) => inputs[i % inputs.length]),
      labels: Uint8Array.from({ length: rows * copies }, (_, i) => labels[i % rows]),
      training,
    });

  it('takes its share of the whole time for forward and each gradient, real time counted in', async () => {
    realMs = 15;
    assert.equal(await lasts(() => forward(0)), 20);
    assert.equal(await lasts(() => device.backward({ segment: 0, micro: 0 })), 40);
    assert.equal(await lasts(() => forward(1)), 20);
    assert.equal(await lasts(() => device.backward({ segment: 0, micro: 1, defer: true })), 20);
    assert.equal(await lasts(() => device.weights({ segment: 0, micros: [1] })), 20);
  });

  it('adds nothing where the real device is slower, and nothing to a step', async () => {
    realMs = 33;
    assert.equal(await lasts(() => forward(0)), 33);
    await device.backward({ segment: 0, micro: 0 });
    assert.equal(await lasts(() => device.step({ counted: 1, learningRate: 0.1 })), 0);
  });

  it('evaluates at its own speed: nothing is measured by that', async () => {
    assert.equal(await lasts(() => forward(0, false, 3)), 0);
  });

  it('serves calls one after another', async () => {
    assert.equal(await lasts(() => Promise.all([forward(0), forward(1), forward(2)])), 60);
  });

  it('fails without waiting', async () => {
    assert.equal(await lasts(() => assert.rejects(device.backward({ segment: 0, micro: 5 }))), 0);
  });

  it("reports the emulated times, by each block's share, whatever the real device takes, and its speed", async () => {
    inner.profile = () => Promise.reject(new Error('not asked'));
    const costs = await device.profile([quarter(whole), whole]);
    assert.deepEqual(costs, [
      { forwardMs: 20, backwardMs: 40, weightsMs: 20 },
      { forwardMs: 80, backwardMs: 160, weightsMs: 80 },
    ]);
    assert.equal(device.device.emulatedMs, 80);
  });
});
