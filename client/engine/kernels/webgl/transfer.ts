import { engine, env, type Tensor2D } from '@tensorflow/tfjs-core';
import { takeNumbers } from '../../../../shared/number-pool.ts';
import type { TransferKernels } from '../kernels.ts';
import { webglBackend } from '../webgl-backend.ts';
import { halfOf, placingOf } from './texture.ts';

/** `TextureUsage.UPLOAD`, which tfjs does not export: four 32-bit floats a texel. */
const UPLOADED = 1;

/**
 * Numbers go straight into the texels that programs read, and come straight from them. tfjs lets a program on the device rearrange them,
 * which divides whole numbers for every texel; the processor needs a fraction of that on the way.
 */
export const webglTransfer: TransferKernels = {
  upload(numbers, rows, columns) {
    const backend = webglBackend();
    const { gl } = backend.gpgpu;
    const info = backend.makeTensorInfo([rows, columns], 'float32');
    const data = backend.texData.get(info.dataId);
    const [height, width] = placingOf([rows, columns]).texture;
    data.isPacked = true;
    data.usage = UPLOADED;
    data.texShape = [2 * height, 2 * width];
    data.texture = backend.acquireTexture(data.texShape, UPLOADED, 'float32', true);
    const texels = scratchOf(4 * height * width);
    // What lies past an odd edge counts as zero.
    if (rows % 2 || columns % 2) texels.fill(0);
    toTexels(numbers, rows, columns, texels);
    gl.bindTexture(gl.TEXTURE_2D, data.texture.texture);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, gl.RGBA, gl.FLOAT, texels);
    gl.bindTexture(gl.TEXTURE_2D, null);
    return engine().makeTensorFromTensorInfo(info) as Tensor2D;
  },

  download(x) {
    const backend = webglBackend();
    const { texture, isPacked, texShape, slice } = backend.texData.get(x.dataId);
    const [rows, columns] = x.shape;
    const [height, width] = (texShape ?? [0, 0]).map(halfOf);
    const isOurs = texture && isPacked && !slice && height * width >= halfOf(rows) * halfOf(columns);
    if (!isOurs || !env().getBool('WEBGL_DOWNLOAD_FLOAT_ENABLED')) return x.dataSync<'float32'>().slice();
    const { gl } = backend.gpgpu;
    const texels = scratchOf(4 * height * width);
    backend.gpgpu.downloadMatrixDriver(texture.texture, () =>
      gl.readPixels(0, 0, width, height, gl.RGBA, gl.FLOAT, texels),
    );
    return fromTexels(texels, rows, columns);
  },
};

let scratch = new Float32Array(0);

/** So many numbers, any; WebGL copies them at once. Fresh ones cost the first touch of every page of memory. */
function scratchOf(count: number): Float32Array {
  if (scratch.length < count) scratch = new Float32Array(count);
  return scratch.subarray(0, count);
}

/** Row-major numbers to texels of two by two, row by row of texels; what lies past an odd edge stays as it is. */
function toTexels(numbers: Float32Array, rows: number, columns: number, texels: Float32Array): void {
  const rowOfTexels = 4 * halfOf(columns);
  const even = columns - (columns % 2);
  for (let row = 0, from = 0; row < rows; row++) {
    let to = (row >> 1) * rowOfTexels + 2 * (row & 1);
    for (const end = from + even; from < end; from += 2, to += 4) {
      texels[to] = numbers[from];
      texels[to + 1] = numbers[from + 1];
    }
    if (even < columns) texels[to] = numbers[from++];
  }
}

/** The reverse. */
function fromTexels(texels: Float32Array, rows: number, columns: number): Float32Array {
  const numbers = takeNumbers(rows * columns);
  const rowOfTexels = 4 * halfOf(columns);
  const even = columns - (columns % 2);
  for (let row = 0, to = 0; row < rows; row++) {
    let from = (row >> 1) * rowOfTexels + 2 * (row & 1);
    for (const end = to + even; to < end; to += 2, from += 4) {
      numbers[to] = texels[from];
      numbers[to + 1] = texels[from + 1];
    }
    if (even < columns) numbers[to++] = texels[from];
  }
  return numbers;
}
