import { env, type Tensor2D, type TensorInfo } from '@tensorflow/tfjs-core';
import { webglBackend } from '../webgl-backend.ts';

export type Shape = readonly [rows: number, columns: number];

/**
 * Where a matrix lies in its texture. A texel holds two by two numbers. Texels lie as in the matrix, or, where the matrix is too tall or
 * too wide for that, one after another in lines of so many.
 */
export interface Placing {
  /** Texels of one row of the matrix. */
  width: number;
  /** Texels of a line; null where the texture has the matrix's own shape. */
  line: number | null;
  /** Of the texture, in texels. */
  texture: readonly [height: number, width: number];
}

/** A power of two that every WebGL 2 has room for: a place in such lines is found by shifting. */
const LINE = 2048;

export const halfOf = (extent: number): number => Math.ceil(extent / 2);

/** How a new matrix is placed. */
export function placingOf([rows, columns]: Shape): Placing {
  const most = env().getNumber('WEBGL_MAX_TEXTURE_SIZE');
  const [height, width] = [halfOf(rows), halfOf(columns)];
  if (height <= most && width <= most) return { width, line: null, texture: [height, width] };
  return { width, line: LINE, texture: [Math.ceil((height * width) / LINE), LINE] };
}

/** A matrix on the device. */
export interface Placed {
  info: TensorInfo;
  placing: Placing;
  /** True where tfjs had it one number a texel, and whoever asked disposes of this copy. */
  isCopy: boolean;
}

/** Puts a matrix on the device, if it is not there yet, and says how it lies there. */
export function placed(tensor: Tensor2D): Placed {
  const backend = webglBackend();
  const data = backend.texData.get(tensor.dataId);
  if (!data.texture) {
    data.isPacked = true;
    data.shape = tensor.shape;
    backend.uploadToGPU(tensor.dataId);
  }
  const isCopy = !data.isPacked;
  const info: TensorInfo = isCopy ? backend.packTensor(tensor) : tensor;
  const [height, width] = backend.texData.get(info.dataId).texShape!.map(halfOf);
  const [rows, columns] = tensor.shape.map(halfOf);
  const hasOwnShape = height === rows && width === columns;
  const placing = { width: columns, line: hasOwnShape ? null : width, texture: [height, width] as const };
  return { info, placing, isCopy };
}

/**
 * `vec4 texelX(int r, int c)` reads the texel at row r and column c of matrix X, counted in texels. On a software renderer a texelFetch
 * takes twice as long as sampling, and so does finding the texel of a number.
 */
export function reader(name: string, { width, line, texture: [high, wide] }: Placing): string {
  const read = (column: string, row: string) =>
    `texture(${name}, (vec2(${column}, ${row}) + 0.5) / vec2(${wide}, ${high}))`;
  if (line === null) return `vec4 texel${name}(int r, int c) { return ${read('c', 'r')}; }`;
  const bits = Math.log2(line);
  const place = Number.isInteger(bits)
    ? read(`at & ${line - 1}`, `at >> ${bits}`)
    : read(`at % ${line}`, `at / ${line}`);
  return `vec4 texel${name}(int r, int c) {
        int at = r * ${width} + c;
        return ${place};
      }`;
}

/** The texel that a fragment computes: its row and column in texels, as `ivec2 own`. */
export function ownPlace({ width, line }: Placing): string {
  if (line === null) return 'ivec2 own = ivec2(gl_FragCoord.yx);';
  return `int fragment = int(gl_FragCoord.y) * ${line} + int(gl_FragCoord.x);
        ivec2 own = ivec2(fragment / ${width}, fragment % ${width});`;
}
