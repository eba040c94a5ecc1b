import { readFile } from 'node:fs/promises';
import type { ModelSpec } from '../../../shared/model.ts';
import { mnistFile } from '../../../signaling/data-files.ts';
import { TASKS } from '../../data/tasks.ts';
import { modelGraph, sizeOf } from '../../model/graph.ts';
import { overlay } from '../../model/pieces.ts';
import type { LayerState, NamedArray } from '../../ports/compute.ts';
import { RigError } from '../rig-error.ts';

export interface TestImages {
  /** One byte a pixel, image after image. */
  pixels: Uint8Array;
  labels: Uint8Array;
}

export async function readTestImages(): Promise<TestImages> {
  const { sampleFile, labelFile } = TASKS.mnist.test;
  const [pixels, labels] = await Promise.all(
    ['t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'].map((name) => readFile(mnistFile(name))),
  );
  return {
    pixels: pixels.subarray(sampleFile.headerBytes),
    labels: labels.subarray(labelFile.headerBytes),
  };
}

/** The first so many of the images; all where there are fewer. */
export const firstOf = ({ pixels, labels }: TestImages, count: number): TestImages => ({
  pixels: pixels.subarray(0, (pixels.length / labels.length) * count),
  labels: labels.subarray(0, count),
});

interface Dense {
  /** [inputs, outputs], row by row. */
  kernel: Float32Array;
  bias: Float32Array;
  outputs: number;
  isRelu: boolean;
}

/** Images between two breaths: who waits for something else meanwhile is not kept waiting for long. */
const IMAGES_AT_ONCE = 500;

/**
 * The share of images that a model of dense layers with ReLU gets right. Written out here because it runs beside the training that it
 * judges: most pixels are background, and cost nothing.
 */
export async function denseAccuracy(
  model: ModelSpec,
  states: readonly LayerState[],
  { pixels, labels }: TestImages,
): Promise<number> {
  const layers = denseLayers(model, states);
  let correct = 0;
  for (let first = 0; first < labels.length; first += IMAGES_AT_ONCE) {
    const end = Math.min(labels.length, first + IMAGES_AT_ONCE);
    for (let i = first; i < end; i++) {
      const image = pixels.subarray(i * layers.inputs, (i + 1) * layers.inputs);
      if (classOf(layers, image) === labels[i]) correct++;
    }
    await new Promise((resume) => setImmediate(resume));
  }
  return correct / labels.length;
}

interface Layers {
  inputs: number;
  /** Sums of the first layer where all is background, the bias included. */
  background: Float32Array;
  /** What a normalised pixel is above the background, by its byte. */
  above: Float32Array;
  dense: Dense[];
}

function denseLayers(model: ModelSpec, states: readonly LayerState[]): Layers {
  const dense = model.layers.map((layer): Dense => {
    if (layer.kind !== 'dense' || !['relu', 'linear'].includes(layer.activation) || !layer.useBias)
      throw new RigError(`An experiment trains dense layers with ReLU; ${layer.name} is none.`);
    const kernel = wholeArray(model, `${layer.name}/kernel`, states);
    const bias = wholeArray(model, `${layer.name}/bias`, states);
    return { kernel, bias, outputs: layer.units, isRelu: layer.activation === 'relu' };
  });
  const { mean, deviation } = TASKS.mnist.normalisation;
  const [first] = dense;
  const inputs = first.kernel.length / first.outputs;
  const background = first.bias.slice();
  for (let i = 0; i < first.kernel.length; i++)
    background[i % first.outputs] += (-mean / deviation) * first.kernel[i];
  const above = Float32Array.from({ length: 256 }, (_, byte) => byte / 255 / deviation);
  return { inputs, background, above, dense };
}

function classOf({ background, above, dense }: Layers, image: Uint8Array): number {
  const [first, ...rest] = dense;
  const terms = new Terms();
  for (let p = 0; p < image.length; p++) if (image[p] > 0) terms.add(p, above[image[p]]);
  let h = terms.addTo(background.slice(), first.kernel);
  let isRelu = first.isRelu;
  for (const layer of rest) {
    for (let i = 0; i < h.length; i++) if (!isRelu || h[i] > 0) terms.add(i, h[i]);
    h = terms.addTo(layer.bias.slice(), layer.kernel);
    isRelu = layer.isRelu;
  }
  let best = 0;
  for (let i = 1; i < h.length; i++) if (h[i] > h[best]) best = i;
  return best;
}

/** The numbers of a sample that are not zero, and the rows of a kernel that they belong to. */
class Terms {
  readonly #rows: number[] = [];
  readonly #factors: number[] = [];

  add(row: number, factor: number): void {
    this.#rows.push(row);
    this.#factors.push(factor);
  }

  /** sums + the sum of factor * row, four rows at a time: that is a quarter of the loads and stores. Empties this. */
  addTo(sums: Float32Array, kernel: Float32Array): Float32Array {
    const width = sums.length;
    const [rows, factors] = [this.#rows, this.#factors];
    while (rows.length % 4 !== 0) this.add(0, 0);
    for (let i = 0; i < rows.length; i += 4) {
      const [f0, f1, f2, f3] = [factors[i], factors[i + 1], factors[i + 2], factors[i + 3]];
      const r0 = rows[i] * width;
      const r1 = rows[i + 1] * width;
      const r2 = rows[i + 2] * width;
      const r3 = rows[i + 3] * width;
      for (let j = 0; j < width; j++)
        sums[j] += f0 * kernel[r0 + j] + f1 * kernel[r1 + j] + f2 * kernel[r2 + j] + f3 * kernel[r3 + j];
    }
    rows.length = factors.length = 0;
    return sums;
  }
}

/** Put together from the pieces that peers hold; one that is missing is an error. */
function wholeArray(model: ModelSpec, name: string, states: readonly LayerState[]): Float32Array {
  const shape = modelGraph(model)
    .nodes.flatMap(({ parameters }) => parameters)
    .find((parameter) => parameter.name === name)!.shape;
  const target: NamedArray = { name, shape, data: new Float32Array(sizeOf(shape)).fill(NaN) };
  for (const piece of states.flatMap(({ parameters }) => parameters))
    if (piece.name === name) overlay(shape, target, piece);
  if (target.data.some(Number.isNaN)) throw new RigError(`A part of ${name} could not be read.`);
  return target.data;
}
