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

  it('reports a lost context at the next call', async () => {
    webglBackend().gpgpu.gl.getExtension('WEBGL_lose_context')!.loseContext();
    expect(await failure(compute.memory())).to.contain('WebGL context lost');
    expect(await failure(compute.read('dense2'))).to.contain('WebGL context lost');
    compute.close();
  });
});
