import { expect } from '@open-wc/testing';
import { webglBackend } from '../../../client/engine/kernels/webgl-backend.ts';
import { openCompute } from '../../../client/engine/open-compute.ts';
import type { Compute } from '../../../client/ports/compute.ts';
import { digitsBlock, trainStep } from '../../engine/memory-ratio.ts';
import { failure } from './computes.ts';

describe('WebGL on the page', () => {
  let compute: Compute;

  before(async () => {
    compute = await openCompute({ emulatedMs: null, workerUrl: '/no-such-worker.js' });
  });

  it('is used where the worker does not start, and says so', async () => {
    expect(compute.device.backend).to.equal('webgl');
    expect(compute.device.where).to.equal('page');
    expect(compute.device.note).to.contain('on the page').and.to.contain('could not be run');
    const block = digitsBlock('sgd', 1, 3);
    await compute.load(block, []);
    await trainStep(compute, block, 2, 2);
  });

  it('has the device begin what it was given, though nothing is read back', async () => {
    const { gl } = webglBackend().gpgpu;
    const block = digitsBlock('sgd', 0, 4);
    await compute.load(block, []);
    const calls: string[] = [];
    const watched = ['drawElements', 'flush'] as const;
    for (const name of watched) {
      const call = gl[name].bind(gl) as (...rest: unknown[]) => void;
      gl[name] = (...rest: unknown[]) => {
        calls.push(name);
        call(...rest);
      };
    }
    const lastOf = async (work: Promise<unknown>) => {
      calls.length = 0;
      await work;
      return calls.includes('drawElements') ? calls.at(-1) : 'nothing was drawn';
    };
    try {
      const { rows } = block;
      const input = new Uint8Array(rows * 784);
      await compute.forward({
        segment: 0,
        micro: 0,
        step: 0,
        rows,
        training: true,
        input,
        labels: new Uint8Array(rows),
      });
      expect(
        await lastOf(compute.backward({ segment: 0, micro: 0, defer: true })),
        'input gradients',
      ).to.equal('flush');
      expect(await lastOf(compute.weights({ segment: 0, micros: [0] })), 'weight gradients').to.equal(
        'flush',
      );
      expect(await lastOf(compute.step({ counted: 1, learningRate: 0.1 })), 'an update').to.equal('flush');
    } finally {
      for (const name of watched) Reflect.deleteProperty(gl, name);
    }
  });

  it('reports a lost context at the next call', async () => {
    webglBackend().gpgpu.gl.getExtension('WEBGL_lose_context')!.loseContext();
    expect(await failure(compute.memory())).to.contain('WebGL context lost');
    expect(await failure(compute.read('dense2'))).to.contain('WebGL context lost');
    compute.close();
  });
});
