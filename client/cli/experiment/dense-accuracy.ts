import { readFile } from 'node:fs/promises';
import type { ModelSpec } from '../../../shared/model.ts';
import { mnistFile } from '../../../signaling/data-files.ts';
import { TASKS } from '../../data/tasks.ts';
import { product } from '../../engine/kernels/cpu/product.ts';
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
  /** [inputs, units], row by row. */
  kernel: Float32Array;
  bias: Float32Array;
  isRelu: boolean;
}

/** Images between two breaths: who waits for something else meanwhile is not kept waiting for long. */
const IMAGES_AT_ONCE = 500;

/**
 * The share of images that a model of dense layers with ReLU gets right. Written out here, without a back-end, because it runs beside
 * the training that it judges.
 */
export async function denseAccuracy(
  model: ModelSpec,
  states: readonly LayerState[],
  { pixels, labels }: TestImages,
): Promise<number> {
  const layers = denseLayers(model, states);
  const { mean, deviation } = TASKS.mnist.normalisation;
  const normalised = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / deviation);
  const inputs = pixels.length / labels.length;
  let correct = 0;
  for (let first = 0; first < labels.length; first += IMAGES_AT_ONCE) {
    const end = Math.min(labels.length, first + IMAGES_AT_ONCE);
    const images = new Float32Array((end - first) * inputs);
    for (let i = 0; i < images.length; i++) images[i] = normalised[pixels[first * inputs + i]];
    const classes = classesOf(layers, images, end - first);
    correct += classes.filter((found, i) => found === labels[first + i]).length;
    await new Promise((resume) => setImmediate(resume));
  }
  return correct / labels.length;
}

const denseLayers = (model: ModelSpec, states: readonly LayerState[]): Dense[] =>
  model.layers.map((layer) => {
    if (layer.kind !== 'dense' || !['relu', 'linear'].includes(layer.activation) || !layer.useBias)
      throw new RigError(`An experiment trains dense layers with ReLU; ${layer.name} is none.`);
    const kernel = wholeArray(model, `${layer.name}/kernel`, states);
    const bias = wholeArray(model, `${layer.name}/bias`, states);
    return { kernel, bias, isRelu: layer.activation === 'relu' };
  });

/** @param images [rows, inputs] */
function classesOf(layers: readonly Dense[], images: Float32Array, rows: number): number[] {
  let h = images;
  for (const { kernel, bias, isRelu } of layers) {
    const units = bias.length;
    const inputs = kernel.length / units;
    h = product(
      { data: h, down: inputs, along: 1 },
      { data: kernel, down: units, along: 1 },
      { data: bias, down: 0, along: 1 },
      [rows, units, inputs],
    );
    if (isRelu) for (let i = 0; i < h.length; i++) if (h[i] < 0) h[i] = 0;
  }
  const classes = h.length / rows;
  return Array.from({ length: rows }, (_, row) => {
    const scores = h.subarray(row * classes, (row + 1) * classes);
    return scores.indexOf(Math.max(...scores));
  });
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
