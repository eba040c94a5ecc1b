import { PRODUCT_MODULE } from './product-module.ts';

/** A matrix inside an array: entry (i, j) is at i * down + j * along. */
export interface Matrix {
  data: Float32Array;
  down: number;
  along: number;
}

/** Rows, columns and terms of a sum that are multiplied at a time: the processor's caches then hold what is soon used again. */
const [ROWS, COLUMNS, TERMS] = [256, 1024, 512];

/** Of WebAssembly's memory. */
const PAGE_BYTES = 65_536;
/** Four doubles. */
const GROUP_BYTES = 32;
const FLOAT_BYTES = Float32Array.BYTES_PER_ELEMENT;

/** See product.wat. Places and distances are in bytes. */
interface ProductModule {
  memory: WebAssembly.Memory;
  pack: (
    from: number,
    lane: number,
    step: number,
    lanes: number,
    numbers: number,
    to: number,
    gap: number,
  ) => void;
  unpack: (from: number, gap: number, groups: number, numbers: number, to: number, step: number) => void;
  multiply: (a: number, aGroups: number, b: number, bGroups: number, terms: number, sums: number) => void;
}

/**
 * start + a b, [rows, columns] with `terms` products a sum, accumulated in double precision in order. `start` is a matrix or null for
 * zeros; it may be the result's own array.
 */
export function product(
  a: Matrix,
  b: Matrix,
  start: Matrix | null,
  [rows, columns, terms]: readonly [number, number, number],
  result: Float32Array = new Float32Array(rows * columns),
): Float32Array {
  for (let j = 0; j < columns; j += COLUMNS) {
    for (let i = 0; i < rows; i += ROWS) {
      const size = [Math.min(ROWS, rows - i), Math.min(COLUMNS, columns - j), terms] as const;
      const target = { data: result, down: columns, along: 1 };
      block(from(a, i, 0), from(b, 0, j), start && from(start, i, j), size, from(target, i, j));
    }
  }
  return result;
}

/** The matrix without its first so many rows and columns. */
const from = ({ data, down, along }: Matrix, row: number, column: number): Matrix => ({
  data: data.subarray(row * down + column * along),
  down,
  along,
});

const transposed = ({ data, down, along }: Matrix): Matrix => ({ data, down: along, along: down });

/** How far the entries of a matrix reach. */
const lengthOf = ({ down, along }: Matrix, rows: number, columns: number): number =>
  (rows - 1) * down + (columns - 1) * along + 1;

/** As much of a product as is computed at a time; all its terms. In the memory lie the sums, a, b, and numbers on their way in or out. */
function block(
  a: Matrix,
  b: Matrix,
  start: Matrix | null,
  [rows, columns, terms]: readonly [number, number, number],
  target: Matrix,
): void {
  const [aGroups, bGroups] = [Math.ceil(rows / 4), Math.ceil(columns / 4)];
  const deep = Math.min(terms, TERMS);
  const packedA = aGroups * bGroups * 4 * GROUP_BYTES;
  const packedB = packedA + aGroups * deep * GROUP_BYTES;
  const staging = packedB + bGroups * deep * GROUP_BYTES;
  const width = bGroups * 4;
  const longest = Math.max(
    rows * width,
    start ? lengthOf(start, rows, columns) : 0,
    lengthOf(a, rows, deep),
    lengthOf(b, deep, columns),
  );
  const { memory, pack, unpack, multiply } = withRoom(staging + longest * FLOAT_BYTES);

  const putLanes = (lanes: Matrix, count: number, numbers: number, to: number, gap = 0): void => {
    const length = lengthOf(lanes, count, numbers);
    new Float32Array(memory.buffer, staging, length).set(lanes.data.subarray(0, length));
    pack(staging, lanes.down * FLOAT_BYTES, lanes.along * FLOAT_BYTES, count, numbers, to, gap);
  };

  const gap = (aGroups * 4 - rows) * GROUP_BYTES;
  if (start) putLanes(transposed(start), columns, rows, 0, gap);
  else new Float64Array(memory.buffer, 0, packedA / Float64Array.BYTES_PER_ELEMENT).fill(0);
  for (let t = 0; t < terms; t += TERMS) {
    const termsHere = Math.min(TERMS, terms - t);
    putLanes(from(a, 0, t), rows, termsHere, packedA);
    putLanes(transposed(from(b, t, 0)), columns, termsHere, packedB);
    multiply(packedA, aGroups, packedB, bGroups, termsHere, 0);
  }
  unpack(0, gap, bGroups, rows, staging, width * FLOAT_BYTES);
  for (let i = 0; i < rows; i++)
    target.data.set(
      new Float32Array(memory.buffer, staging + i * width * FLOAT_BYTES, columns),
      i * target.down,
    );
}

let loaded: ProductModule | null = null;

function withRoom(bytes: number): ProductModule {
  loaded ??= load();
  const missing = bytes - loaded.memory.buffer.byteLength;
  if (missing > 0) loaded.memory.grow(Math.ceil(missing / PAGE_BYTES));
  return loaded;
}

function load(): ProductModule {
  const code = Uint8Array.from(atob(PRODUCT_MODULE), (character) => character.charCodeAt(0));
  return new WebAssembly.Instance(new WebAssembly.Module(code)).exports as unknown as ProductModule;
}

/** Throws, with a message for people, where `product` cannot run. */
export function assertProducts(): void {
  try {
    withRoom(0);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `This browser has no WebAssembly with vectors, which computing on the CPU needs: update it, or use another one. (${reason})`,
      { cause: error },
    );
  }
}
