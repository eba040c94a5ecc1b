import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { buffersIn, type Request } from '../../client/engine/protocol.ts';
import { WorkerCompute } from '../../client/engine/worker-compute.ts';

const device = { backend: 'webgl', where: 'worker', note: '', emulatedMs: null, memoryBytes: null };

/** A worker whose answers the test gives. */
class FakeWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: { message: string; preventDefault: () => void }) => void) | null = null;
  requests: { request: Request; transfer: Transferable[] }[] = [];
  terminated = false;
  postMessage(request: Request, transfer: Transferable[]): void {
    this.requests.push({ request: structuredClone(request, { transfer }), transfer });
    if (request.method === 'open') queueMicrotask(() => this.answer({ value: device }));
  }
  terminate(): void {
    this.terminated = true;
  }
  answer(result: { value: unknown } | { error: string }, back = 1): void {
    const { id } = this.requests.at(-back)!.request;
    this.onmessage!({ data: { id, ...result } });
  }
}

async function opened() {
  const fake = new FakeWorker();
  const options = { emulatedMs: null };
  return { fake, compute: await WorkerCompute.open(fake as unknown as Worker, options) };
}

describe('a compute in a worker', () => {
  it('moves inputs and gradients, and copies labels and states', async () => {
    const { fake, compute } = await opened();
    assert.deepEqual(compute.device, device);
    const [input, labels, gradient, kernel] = [
      new Float32Array(4),
      new Uint8Array(2),
      new Float32Array(3),
      new Float32Array(2),
    ];
    void compute.forward({ segment: 0, step: 0, micro: 0, rows: 2, input, labels, training: true });
    void compute.backward({ segment: 0, micro: 0, gradient });
    const parameters = [{ name: 'a/kernel', shape: [2], data: kernel }];
    void compute.load({} as never, [{ layer: 'a', updates: 0, parameters, optimizer: [] }]);
    assert.deepEqual(
      [input, labels, gradient, kernel].map(({ length }) => length),
      [0, 2, 0, 2],
    );
    assert.equal(fake.requests.length, 4);
  });

  it('gives each answer to the call that it belongs to', async () => {
    const { fake, compute } = await opened();
    const [first, second] = [compute.step({ counted: 1, learningRate: 1 }), compute.memory()];
    fake.answer({ error: 'no memory for you' });
    fake.answer({ value: { metrics: 'some' } }, 2);
    await assert.rejects(second, /no memory for you/);
    assert.deepEqual(await first, { metrics: 'some' });
  });

  it('rejects what is pending and what comes later when the worker crashes', async () => {
    const { fake, compute } = await opened();
    const pending = compute.abandon();
    fake.onerror!({ message: 'out of memory', preventDefault: () => undefined });
    await assert.rejects(pending, /worker that computes here crashed: out of memory/);
    await assert.rejects(compute.memory(), /crashed/);
    assert.ok(fake.terminated);
  });

  it('rejects what is pending when it is closed', async () => {
    const { fake, compute } = await opened();
    const pending = compute.unload();
    compute.close();
    await assert.rejects(pending, /closed/);
    assert.ok(fake.terminated);
  });
});

describe('buffers to move', () => {
  it('are found however deep, once each, windows on larger buffers left out', () => {
    const shared = new Float32Array(4);
    const value = {
      a: [shared, { b: new Uint8Array(shared.buffer) }],
      c: shared.subarray(1),
      d: null,
      e: 'x',
    };
    assert.deepEqual([...buffersIn(value)], [shared.buffer]);
  });
});
