import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { denseAccuracy, firstOf } from '../../client/cli/experiment/dense-accuracy.ts';
import { runConfig } from '../../client/defaults.ts';
import { TASKS } from '../../client/data/tasks.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { initialPiece } from '../../client/model/pieces.ts';
import type { LayerState, NamedArray } from '../../client/ports/compute.ts';
import { randomUniform } from '../../shared/counter-random.ts';

const IMAGES = 700;
const { model } = runConfig({ model: 'mlp:12-8' });
const parameters = modelGraph(model).nodes.flatMap((node) => node.parameters);
const whole = parameters.map((parameter) => {
  const piece = initialPiece(
    3,
    parameter,
    parameter.shape.map(() => null),
  );
  piece.data.forEach((value, i) => (piece.data[i] = value + 0.1 * randomUniform(4, i)));
  return piece;
});
const state = (arrays: NamedArray[]): LayerState => ({
  layer: 'any',
  updates: 0,
  parameters: arrays,
  optimizer: [],
});
/** Two pixels of three are background. */
const pixels = Uint8Array.from({ length: 784 * IMAGES }, (_, i) =>
  randomUniform(1, i) < 2 / 3 ? 0 : Math.floor(256 * randomUniform(2, i)),
);

/** The same, written down as it stands in every textbook. */
function classOf(image: Uint8Array): number {
  const { mean, deviation } = TASKS.mnist.normalisation;
  let h = Array.from(image, (byte) => (byte / 255 - mean) / deviation);
  for (const [i, { name, units }] of model.layers.entries() as Iterable<
    [number, { name: string; units: number }]
  >) {
    const find = (kind: string) => whole.find((array) => array.name === `${name}/${kind}`)!.data;
    const [kernel, bias] = [find('kernel'), find('bias')];
    const z = Array.from({ length: units }, (_, j) =>
      h.reduce((sum, value, k) => sum + value * kernel[k * units + j], bias[j]),
    );
    h = i < model.layers.length - 1 ? z.map((value) => Math.max(0, value)) : z;
  }
  return h.indexOf(Math.max(...h));
}

const classes = Array.from({ length: IMAGES }, (_, i) => classOf(pixels.subarray(784 * i, 784 * (i + 1))));
const labels = Uint8Array.from(classes, (right, i) => (i % 4 === 0 ? (right + 1) % 10 : right));

describe('a test of dense layers', () => {
  it('finds the classes that the model finds', async () => {
    assert.ok(new Set(classes).size > 2, 'the model tells images apart');
    assert.equal(await denseAccuracy(model, [state(whole)], { pixels, labels }), 0.75);
  });

  it('takes the first of the images', async () => {
    assert.equal(await denseAccuracy(model, [state(whole)], firstOf({ pixels, labels }, 6)), 4 / 6);
    assert.equal(firstOf({ pixels, labels }, IMAGES + 1).labels.length, IMAGES);
  });

  it('puts pieces of layers together', async () => {
    const [first, ...rest] = whole;
    const columns = first.shape[1];
    const pieces = [0, 1].map((half): NamedArray => {
      const entries = Array.from({ length: columns / 2 }, (_, j) => 2 * j + half);
      const data = Float32Array.from({ length: (784 * columns) / 2 }, (_, i) => {
        const row = Math.floor(i / entries.length);
        return first.data[row * columns + entries[i % entries.length]];
      });
      return { name: first.name, shape: [784, columns / 2], data, entries: [null, entries] };
    });
    const held = [state([pieces[1]]), state([...rest, pieces[0]])];
    assert.equal(await denseAccuracy(model, held, { pixels, labels }), 0.75);
  });

  it('takes no model of which a part is missing', async () => {
    await assert.rejects(
      denseAccuracy(model, [state(whole.slice(1))], { pixels, labels }),
      /dense_1\/kernel could not be read/,
    );
  });
});
