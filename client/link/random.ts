import type { RandomInt } from '../../shared/ids.ts';
import type { Random } from '../ports/random.ts';

/** Randomness fit for ids and secrets; works on http:// pages too. */
export const browserRandom: Random = {
  next: () => crypto.getRandomValues(new Uint32Array(1))[0] / 4294967296,
};

export const browserRandomInt: RandomInt = (bound) => Math.floor(browserRandom.next() * bound);
