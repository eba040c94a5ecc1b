import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { modelGraph, sizeOf, type ParameterShape } from '../../client/model/graph.ts';
import { entriesOf, initialPiece, overlay, pieceShape } from '../../client/model/pieces.ts';
import type { NamedArray } from '../../client/ports/compute.ts';
import { shuffled } from '../../shared/counter-random.ts';
import type { UnitRange } from '../../shared/model.ts';
import { assertProperty } from '../support/property.ts';
import { modelArbitrary } from '../support/random-model.ts';
import { wholeParameters } from '../support/reference.ts';
import { batchNorm, conv, dense, depthwiseConv, flatten, model } from '../support/specs.ts';

const MODEL = model(
  [4, 4, 3],
  [depthwiseConv('w', 2, 3), conv('a', 5, 3), flatten('f'), batchNorm('m'), dense('d', 4), dense('e', 3)],
);

const parameter = (name: string): ParameterShape =>
  wholeParameters(MODEL).find((found) => found.name === name)!;

const all = (units: number) => ({ held: [0, units] as UnitRange, order: null });
const some = (start: number, end: number, order: number[] | null = null) => ({
  held: [start, end] as UnitRange,
  order,
});

describe('the entries of a slice', () => {
  it('are the columns of its units, the rows of its inputs', () => {
    assert.deepEqual(entriesOf(parameter('e/kernel'), some(1, 3), all(3)), [[1, 2], null]);
    assert.deepEqual(entriesOf(parameter('e/kernel'), all(4), some(0, 2)), [null, [0, 1]]);
    assert.deepEqual(entriesOf(parameter('a/kernel'), some(1, 3), some(2, 4)), [
      null,
      null,
      [2, 3, 4, 5],
      [2, 3],
    ]);
    assert.deepEqual(entriesOf(parameter('w/depthwise_kernel'), some(2, 3), some(2, 3)), [
      null,
      null,
      [2],
      null,
    ]);
    assert.deepEqual(entriesOf(parameter('w/bias'), some(2, 3), some(2, 3)), [[4, 5]]);
  });

  it('of flattened channels are one for each place', () => {
    const places = Array.from({ length: 16 }, (_, place) => [place * 5 + 1, place * 5 + 2]).flat();
    assert.deepEqual(entriesOf(parameter('m/gamma'), some(1, 3), some(1, 3)), [places]);
    assert.deepEqual(entriesOf(parameter('d/kernel'), some(1, 3), all(4)), [places, null]);
  });

  it('follow the order of units', () => {
    const order = [3, 0, 2, 1];
    assert.deepEqual(entriesOf(parameter('e/kernel'), some(1, 3, order), all(3)), [[0, 2], null]);
    assert.deepEqual(entriesOf(parameter('e/kernel'), some(0, 4, order), all(3)), [order, null]);
  });
});

describe('initial values', () => {
  const whole = (shape: ParameterShape) =>
    initialPiece(
      7,
      shape,
      shape.shape.map(() => null),
    );

  it('are within the bound of Glorot and Bengio, and use most of it', () => {
    for (const [name, limit] of [
      ['d/kernel', Math.sqrt(6 / (80 + 4))],
      ['a/kernel', Math.sqrt(6 / (9 * (6 + 5)))],
      ['w/depthwise_kernel', Math.sqrt(6 / (9 * (3 + 2)))],
    ] as const) {
      const largest = Math.max(...whole(parameter(name)).data.map(Math.abs));
      assert.ok(largest <= limit && largest > 0.9 * limit, `${name}: ${largest} of ${limit}`);
    }
  });

  it('are one for gamma and the moving variance, zero for beta, bias and the moving mean', () => {
    const values = (name: string) => [...new Set(whole(parameter(name)).data)];
    assert.deepEqual(['m/gamma', 'm/moving_variance'].map(values), [[1], [1]]);
    assert.deepEqual(['m/beta', 'm/moving_mean', 'a/bias'].map(values), [[0], [0], [0]]);
  });
});

/** Any way to share a parameter out: cut points for either side, and orders of their units. */
const shared = fc.record({
  model: modelArbitrary('smooth'),
  pick: fc.nat(1000),
  cuts: fc.tuple(...['input', 'output'].map(() => fc.array(fc.nat(20), { maxLength: 3 }))),
  orderSeed: fc.option(fc.nat(100)),
});

type Shared = typeof shared extends fc.Arbitrary<infer T> ? T : never;

/** The pieces of a parameter that all lanes of a partition hold, and what they are pieces of. */
function piecesOf({ model: spec, pick, cuts, orderSeed }: Shared): {
  shape: ParameterShape;
  pieces: NamedArray[];
} {
  const nodes = modelGraph(spec).nodes.filter(({ parameters }) => parameters.length > 0);
  const { parameters, input, output, kind } = nodes[pick % nodes.length];
  const shape = parameters[pick % parameters.length];
  const order = (units: number, key: number) =>
    orderSeed === null ? null : [...shuffled(units, orderSeed, key)];
  const ranges = (units: number, points: number[]): UnitRange[] => {
    const edges = [0, ...points.map((point) => point % (units + 1)).sort((a, b) => a - b), units];
    return edges.slice(1).map((end, i): UnitRange => [edges[i], end]);
  };
  // Whatever is no product has the same units before and after.
  const [first, second] =
    kind === 'linear' ? [ranges(input.units, cuts[0]), ranges(output.units, cuts[1])] : [];
  const inputOrder = order(input.units, 0);
  const outputOrder = kind === 'linear' ? order(output.units, 1) : inputOrder;
  const pairs =
    first && second
      ? first.flatMap((a) => second.map((b) => [a, b]))
      : ranges(input.units, cuts[0]).map((range) => [range, range]);
  const pieces = pairs.map(([a, b]) =>
    initialPiece(5, shape, entriesOf(shape, { held: a, order: inputOrder }, { held: b, order: outputOrder })),
  );
  return { shape, pieces };
}

describe('the pieces of any partition', () => {
  const check = (test: string, predicate: (shared: Shared) => void) => {
    it(test, () => assertProperty({ file: import.meta.url, test, seed: 2, runs: 400 }, shared, predicate));
  };

  check('put together give the whole array, each number once', (choice) => {
    const { shape: parameterShape, pieces } = piecesOf(choice);
    const { shape } = parameterShape;
    const nothing = shape.map(() => null);
    const wanted = initialPiece(5, parameterShape, nothing);
    const whole: NamedArray = { ...wanted, data: new Float32Array(sizeOf(shape)).fill(NaN) };
    const copied = pieces.reduce((sum, piece) => sum + overlay(shape, whole, piece), 0);
    assert.equal(copied, sizeOf(shape));
    assert.deepEqual(whole.data, wanted.data);
  });

  check('are taken from the whole again, and from one another only what both have', (choice) => {
    const { shape: parameterShape, pieces } = piecesOf(choice);
    const { shape } = parameterShape;
    const numbers = Float32Array.from({ length: sizeOf(shape) }, (_, i) => i);
    const whole: NamedArray = { name: parameterShape.name, shape, data: numbers };
    const taken = pieces.map((piece) => ({ ...piece, data: new Float32Array(piece.data.length).fill(-1) }));
    for (const piece of taken) {
      assert.deepEqual(piece.shape, pieceShape(shape, piece.entries!));
      assert.equal(overlay(shape, piece, whole), piece.data.length);
      assert.equal(new Set(piece.data).size, piece.data.length);
    }
    for (const piece of taken) {
      const before = piece.data.slice();
      for (const other of taken) {
        if (other === piece) continue;
        assert.equal(overlay(shape, piece, { ...other, data: other.data.map(() => -1) }), 0);
        assert.deepEqual(piece.data, before);
      }
    }
  });

  it('of other cuts give each other what they share', () => {
    const shape = parameter('d/kernel');
    const order = [4, 2, 0, 3, 1];
    const old = initialPiece(1, shape, entriesOf(shape, some(0, 3, order), all(4)));
    const next = initialPiece(2, shape, entriesOf(shape, some(2, 4), all(4)));
    const before = next.data.slice();
    // Positions 0 to 3 of the old order are units 4, 2 and 0: of units 2 and 3 only the first.
    assert.equal(overlay(shape.shape, next, old), 16 * 4);
    const fresh = initialPiece(1, shape, entriesOf(shape, some(2, 4), all(4)));
    const isOfUnit2 = (i: number) => Math.floor(i / 4) % 2 === 0;
    next.data.forEach((value, i) => assert.equal(value, isOfUnit2(i) ? fresh.data[i] : before[i]));
  });
});
