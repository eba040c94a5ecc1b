import {
  enableProdMode,
  env,
  matMul,
  ready,
  setBackend,
  tensor2d,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import type { DeviceInfo } from '../ports/compute.ts';
import { assertProducts } from './kernels/cpu/product.ts';
import { kernelsOf, type Kernels } from './kernels/index.ts';
import { webglBackend } from './kernels/webgl-backend.ts';
import { drawAsOneTriangle } from './kernels/webgl/one-triangle.ts';

/** The tfjs backend that this thread computes with. */
export interface Backend {
  name: DeviceInfo['backend'];
  /** Why it is not WebGL, for people; empty if it is. */
  note: string;
  /** See `DeviceInfo`. */
  onProcessor: boolean;
  kernels: Kernels;
  /** Throws once the device's memory is gone (a lost WebGL context gives garbage without a word). */
  assertAlive(): void;
  /** Has the device begin what it was given: where nothing is read back, browsers let work lie until more of it comes. */
  submit(): void;
}

const LOST_CONTEXT =
  'This device lost its graphics memory (WebGL context lost), and with it the block that it held.';

/** WebGL if it computes correctly here, else the CPU with a note that says why. `force` skips the attempt. */
export async function openBackend(force?: 'cpu'): Promise<Backend> {
  // tfjs's own checks of every intermediate result, and its advice on the console.
  enableProdMode();
  if (force === 'cpu') return openCpu('It computes on the CPU because it was told to.');
  try {
    return await openWebgl();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return openCpu(`It computes on the CPU, which is slow: ${reason}`);
  }
}

async function openCpu(note: string): Promise<Backend> {
  await import('@tensorflow/tfjs-backend-cpu');
  await setBackend('cpu');
  assertProducts();
  const nothing = () => undefined;
  return {
    name: 'cpu',
    note,
    onProcessor: true,
    kernels: kernelsOf('cpu'),
    assertAlive: nothing,
    submit: nothing,
  };
}

async function openWebgl(): Promise<Backend> {
  await import('@tensorflow/tfjs-backend-webgl');
  if (!env().getBool('HAS_WEBGL')) throw new Error('this browser has no WebGL.');
  if (env().getNumber('WEBGL_VERSION') !== 2) throw new Error('this browser has no WebGL 2.');
  if (!env().getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    throw new Error('its WebGL has no 32-bit floating-point textures.');
  }
  if (!(await setBackend('webgl'))) throw new Error('WebGL could not be started.');
  await ready();
  const backend = webglBackend();
  const { gl } = backend.gpgpu;
  drawAsOneTriangle(backend);
  let lost = false;
  gl.canvas.addEventListener('webglcontextlost', () => {
    lost = true;
  });
  const assertAlive = () => {
    // The event comes late while calls queue up in this thread; the context itself knows at once.
    if (lost || gl.isContextLost()) throw new Error(LOST_CONTEXT);
  };
  const kernels = kernelsOf('webgl');
  selfCheck(kernels);
  assertAlive();
  return {
    name: 'webgl',
    note: '',
    onProcessor: isSoftware(gl),
    kernels,
    assertAlive,
    submit: () => gl.flush(),
  };
}

/** Names under which browsers render without a graphics processor. */
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;

function isSoftware(gl: WebGLRenderingContext): boolean {
  const info = gl.getExtension('WEBGL_debug_renderer_info');
  const renderer: unknown = gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
  return typeof renderer === 'string' && SOFTWARE.test(renderer);
}

/** A product that 16-bit arithmetic gets wrong, by tfjs's own kernel and by ours. Throws if a driver computes nonsense. */
function selfCheck(kernels: Kernels): void {
  const x = tensor2d([1.0005, 2, 3, -4, 5, 6], [2, 3]);
  const w = tensor2d([1, 2, 3, 4, 5, 6], [3, 2]);
  const bias = tensor2d([0, 0], [1, 2]);
  const products = [matMul<Tensor2D>(x, w), kernels.dense(x, [w], bias, 'linear')];
  const expected = [22.0005, 28.001, 41, 48];
  const wrong = products.some((product) => {
    const values = product.dataSync<'float32'>();
    return expected.some((value, i) => !(Math.abs(values[i] - value) < 1e-4));
  });
  for (const tensor of [x, w, bias, ...products]) tensor.dispose();
  if (wrong) throw new Error('its WebGL computes wrong results.');
}
