import { randomUniform, randomWord } from '../../shared/counter-random.ts';
import { sizeOf } from '../../client/model/graph.ts';
import type { Normalisation } from '../../shared/model.ts';
import type { ReferenceBatch } from './reference.ts';

/** Samples as they are read from a data set, before they are normalised. */
export interface ByteBatch {
  samples: Uint8Array;
  labels: Uint8Array;
  rows: number;
}

/** Makes every byte count alike, and the mean of inputs not zero. */
export const NORMALISATION: Normalisation = { mean: 0.4, deviation: 0.3 };

/** Arbitrary samples and labels that `key` alone decides. */
export const byteBatch = (inputShape: number[], classes: number, rows: number, key: number): ByteBatch => ({
  rows,
  samples: Uint8Array.from({ length: rows * sizeOf(inputShape) }, (_, i) => randomWord(key, i, 1) % 256),
  labels: Uint8Array.from({ length: rows }, (_, i) => randomWord(key, i, 2) % classes),
});

/** The same batch as the reference takes it. */
export const referenceBatch = ({ samples, labels, rows }: ByteBatch): ReferenceBatch => ({
  rows,
  labels,
  inputs: Float32Array.from(samples, (byte) => (byte / 255 - NORMALISATION.mean) / NORMALISATION.deviation),
});

/** The same batch with its inputs off by no more than their last bit: what becomes of that, rounding alone decides. */
export const nudged = (batch: ReferenceBatch, key: number): ReferenceBatch => ({
  ...batch,
  inputs: batch.inputs.map((value, i) => value * (1 + (2 * randomUniform(key, i) - 1) * 2 ** -23)),
});

export const norm = (values: Float32Array): number => {
  let sum = 0;
  for (const value of values) sum += value * value;
  return Math.sqrt(sum);
};

/** ||a - b||. */
export const distance = (a: Float32Array, b: Float32Array): number =>
  a.length === b.length ? norm(a.map((value, i) => value - b[i])) : Infinity;

/** ||a - b|| / ||b||; 0 where both are zero. */
export function relative(a: Float32Array, b: Float32Array): number {
  const error = distance(a, b);
  return error === 0 ? 0 : error / norm(b);
}
