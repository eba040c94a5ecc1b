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

/** Texels that lines of whole rows have at most, and all others: every WebGL 2 has room for the latter. */
const LINE_MOST = 8192;
const LINE = 2048;
/** Rows of a line, times a power of two: most images have a width that goes into that evenly, as pairs of pixels. */
const LINE_ROWS = 63;

export const halfOf = (extent: number): number => Math.ceil(extent / 2);

/** How a new matrix is placed. */
export function placingOf([rows, columns]: Shape): Placing {
  const most = env().getNumber('WEBGL_MAX_TEXTURE_SIZE');
  const [height, width] = [halfOf(rows), halfOf(columns)];
  if (height <= most && width <= most) return { width, line: null, texture: [height, width] };
  const line = lineOf(width, Math.min(most, LINE_MOST));
  return { width, line, texture: [Math.ceil((height * width) / line), line] };
}

function lineOf(width: number, most: number): number {
  const least = LINE_ROWS * width;
  return least > most ? LINE : least * 2 ** Math.floor(Math.log2(most / least));
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
 * Ways to read matrix X, all counted in texels. `vec4 texelX(int r, int c)` reads the texel at row r and column c. Of rows that follow each other,
 * `run` at a time from a multiple of it on, `ivec2 runX(int r)` finds the first, `ivec2 stepX(ivec2 place, int dr)` what is dr rows further, and
 * `vec4 atX(ivec2 place, int c)` reads there, c columns on.
 *
 * On a software renderer a texelFetch takes twice as long as sampling, and so does finding the texel of a number.
 */
export function reader(name: string, placing: Placing, run = 1): string {
  const { width, line, texture } = placing;
  const read = (column: string, row: string) =>
    `texture(${name}, (vec2(${column}, ${row}) + 0.5) / vec2(${texture[1]}, ${texture[0]}))`;
  const runs = (find: string, step: string) => `
      ivec2 run${name}(int r) { ${find} }
      ivec2 step${name}(ivec2 place, int dr) { return place + ${step}; }
      vec4 at${name}(ivec2 place, int c) { return ${read('place.x + c', 'place.y')}; }
      vec4 texel${name}(int r, int c) { return at${name}(run${name}(r), c); }`;
  if (line === null) return runs('return ivec2(0, r);', 'ivec2(0, dr)');
  const rows = line / width;
  if (Number.isInteger(rows) && rows % run === 0) {
    const find = `int y = ${quotient('r', rows, (texture[0] * line) / width)}; return ivec2((r - y * ${rows}) * ${width}, y);`;
    return runs(find, `ivec2(dr * ${width}, 0)`);
  }
  const place = `int at = r * ${width} + c; int y = ${quotient('at', line, texture[0] * line)};`;
  return `
      vec4 texel${name}(int r, int c) { ${place} return ${read(`at - y * ${line}`, 'y')}; }
      ivec2 run${name}(int r) { return ivec2(0, r); }
      ivec2 step${name}(ivec2 place, int dr) { return place + ivec2(0, dr); }
      vec4 at${name}(ivec2 place, int c) { return texel${name}(place.y, c); }`;
}

/**
 * A whole number below `most` over another: by shifting and, as software renderers divide whole numbers one by one, by multiplying. Up to 2^20
 * rounding puts that off by less than the half that is added.
 */
function quotient(dividend: string, divisor: number, most: number): string {
  let odd = divisor;
  let bits = 0;
  for (; odd % 2 === 0; odd /= 2) bits++;
  const shifted = `(${dividend} >> ${bits})`;
  if (odd === 1) return shifted;
  return most >> bits < 2 ** 20 ? `int((float${shifted} + 0.5) * ${1 / odd})` : `${shifted} / ${odd}`;
}

/** The texel that a fragment computes: its row and column in texels, as `ivec2 own`. */
export function ownPlace({ width, line }: Placing): string {
  if (line === null) return 'ivec2 own = ivec2(gl_FragCoord.yx);';
  return `int fragment = int(gl_FragCoord.y) * ${line} + int(gl_FragCoord.x);
        ivec2 own = ivec2(fragment / ${width}, fragment % ${width});`;
}
