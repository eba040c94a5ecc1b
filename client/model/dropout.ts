import { hashText, randomWord } from '../../shared/counter-random.ts';

/** What all masks of a dropout layer in one step have in common. */
export const dropoutKey = (seed: number, layer: string, step: number): number =>
  randomWord(seed, hashText(layer), step);

/** A number is dropped where its word of 32 random bits is below this. */
export const dropoutThreshold = (rate: number): number => Math.min(2 ** 32 - 1, Math.round(rate * 2 ** 32));

/**
 * Whether dropout keeps number `index` (its place in the layer's full tensor, in the model's own order of units) of a sample, counted
 * from the start of the step. Each number has a key of its own, so every partition sees the same mask.
 */
export const isKept = (key: number, sample: number, index: number, threshold: number): boolean =>
  randomWord(key, sample, index) >= threshold;
