import { expect } from '@open-wc/testing';
import { webglBackend } from '../../../client/engine/kernels/webgl-backend.ts';
import { openCompute } from '../../../client/engine/open-compute.ts';
import type { BlockSpec, Compute, ForwardTask } from '../../../client/ports/compute.ts';
import { digitsBlock, trainStep } from '../../engine/memory-ratio.ts';
import { failure } from './computes.ts';

const firstForward = ({ rows }: BlockSpec): ForwardTask => ({
  segment: 0,
  micro: 0,
  step: 0,
  rows,
  training: true,
  input: new Uint8Array(rows * 784),
  labels: new Uint8Array(rows),
});

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
      await compute.forward(firstForward(block));
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

  it('draws programs as one triangle over the whole texture', async () => {
    const { gl } = webglBackend().gpgpu;
    const block = digitsBlock('sgd', 0, 4);
    await compute.load(block, []);
    const draw = gl.drawElements.bind(gl);
    const drawn: { corners: number[][]; indices: number[] }[] = [];
    gl.drawElements = (...rest) => {
      const program = gl.getParameter(gl.CURRENT_PROGRAM) as WebGLProgram;
      const place = gl.getAttribLocation(program, 'clipSpacePos');
      const corners = new Float32Array(3 * 5);
      const indices = new Uint16Array(6);
      gl.bindBuffer(
        gl.ARRAY_BUFFER,
        gl.getVertexAttrib(place, gl.VERTEX_ATTRIB_ARRAY_BUFFER_BINDING) as WebGLBuffer,
      );
      gl.getBufferSubData(gl.ARRAY_BUFFER, 0, corners);
      gl.getBufferSubData(gl.ELEMENT_ARRAY_BUFFER, 0, indices);
      drawn.push({
        corners: [0, 5, 10].map((at) => [...corners.subarray(at, at + 2)]),
        indices: [...indices],
      });
      draw(...rest);
    };
    try {
      await compute.forward(firstForward(block));
    } finally {
      Reflect.deleteProperty(gl, 'drawElements');
    }
    expect(drawn.length).to.be.greaterThan(0);
    for (const { corners, indices } of drawn) {
      expect(corners).to.deep.equal([
        [-1, 3],
        [-1, -1],
        [3, -1],
      ]);
      expect(indices).to.deep.equal([0, 1, 2, 2, 2, 2]);
    }
  });

  it('reports a lost context at the next call', async () => {
    webglBackend().gpgpu.gl.getExtension('WEBGL_lose_context')!.loseContext();
    expect(await failure(compute.memory())).to.contain('WebGL context lost');
    expect(await failure(compute.read('dense2'))).to.contain('WebGL context lost');
    compute.close();
  });
});
