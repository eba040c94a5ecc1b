import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openBackend } from '../../client/engine/backend.ts';
import { product, type Matrix } from '../../client/engine/kernels/cpu/product.ts';
import { PRODUCT_MODULE } from '../../client/engine/kernels/cpu/product-module.ts';
import { assembled } from '../support/assemble.ts';

type Size = readonly [rows: number, columns: number, terms: number];

/** Numbers of very different sizes, so that another order of adding shows. */
const numbers = (count: number, seed: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => Math.sin(seed + i * 12.9898) * 10 ** ((i * 7 + seed) % 5));

const byRows = (rows: number, columns: number, seed: number): Matrix => ({
  data: numbers(rows * columns, seed),
  down: columns,
  along: 1,
});
const byColumns = (rows: number, columns: number, seed: number): Matrix => ({
  data: numbers(rows * columns, seed),
  down: 1,
  along: rows,
});

function inALoop(a: Matrix, b: Matrix, start: Matrix | null, [rows, columns, terms]: Size): Float32Array {
  const result = new Float32Array(rows * columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      let sum = start ? start.data[i * start.down + j * start.along] : 0;
      for (let t = 0; t < terms; t++)
        sum += a.data[i * a.down + t * a.along] * b.data[t * b.down + j * b.along];
      result[i * columns + j] = sum;
    }
  }
  return result;
}

const SIZES: Size[] = [
  [256, 1024, 1],
  [256, 2600, 1],
  [1, 1, 1],
  [2, 3, 5],
  [4, 8, 4],
  [7, 6, 9],
  [257, 5, 3],
  [3, 1026, 2],
  [5, 2, 1030],
  [258, 9, 515],
  [5, 1026, 513],
];

test('a browser without WebAssembly is told what to do', async (t) => {
  // Before anything has loaded the module.
  const { WebAssembly } = globalThis;
  t.after(() => Object.assign(globalThis, { WebAssembly }));
  Reflect.deleteProperty(globalThis, 'WebAssembly');
  await assert.rejects(openBackend('cpu'), /has no WebAssembly with vectors.*: update it/);
});

for (const size of SIZES) {
  const [rows, columns, terms] = size;
  test(`a product of ${size.join(' x ')} is to the bit what a loop gives, wherever its numbers lie`, () => {
    for (const a of [byRows(rows, terms, 1), byColumns(rows, terms, 2)]) {
      for (const b of [byRows(terms, columns, 3), byColumns(terms, columns, 4)]) {
        const bias = { data: numbers(columns, 5), down: 0, along: 1 };
        for (const start of [null, bias, byRows(rows, columns, 6)])
          assert.deepEqual(product(a, b, start, size), inALoop(a, b, start, size));
      }
    }
  });
}

test('nothing is read where a second row or column would lie', () => {
  const a = { data: Float32Array.of(3), down: 1e8, along: 1 };
  const b = { data: Float32Array.of(5), down: 1, along: 1e8 };
  assert.deepEqual(product(a, b, b, [1, 1, 1]), Float32Array.of(20));
});

test('a product is added to the array that it starts from', () => {
  const size = [300, 7, 6] as const;
  const [a, b, start] = [byRows(300, 6, 1), byRows(6, 7, 2), byRows(300, 7, 3)];
  const expected = inALoop(a, b, start, size);
  assert.equal(product(a, b, start, size, start.data), start.data);
  assert.deepEqual(start.data, expected);
});

test('a product of no terms is where it starts from', () => {
  const empty = { data: new Float32Array(0), down: 0, along: 1 };
  const start = byRows(3, 2, 1);
  assert.deepEqual(product(empty, empty, start, [3, 2, 0]), start.data);
  assert.deepEqual(product(empty, empty, null, [3, 2, 0]), new Float32Array(6));
});

test('what is not finite stays so in its own entries', () => {
  const a = { data: Float32Array.of(1, NaN, 1, 2, Infinity, 0), down: 2, along: 1 };
  const b = { data: Float32Array.of(1, 2, 3, 4), down: 2, along: 1 };
  const expected = Float32Array.of(NaN, NaN, 7, 10, Infinity, Infinity);
  assert.deepEqual(product(a, b, null, [3, 2, 2]), expected);
});

test('the module is what its source says', async () => {
  assert.equal(PRODUCT_MODULE, await assembled(), 'run `npm run assemble`');
});
