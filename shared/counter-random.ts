/**
 * Random numbers addressed by a key instead of drawn in a row: whoever needs the numbers of one unit or one sample
 * computes just those, and every partition sees the same ones.
 */

/** Mixes one word into a hash (murmur3's body and finalizer; Appleby, public domain). */
function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  k = Math.imul(k, 0x1b873593);
  hash ^= k;
  hash = (hash << 13) | (hash >>> 19);
  return (Math.imul(hash, 5) + 0xe6546b64) | 0;
}

function finish(hash: number): number {
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** A 32-bit hash of a text. */
export function hashText(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i));
  return finish(hash);
}

/** A 32-bit word for the key (a, b, c, d). */
export function randomWord(a: number, b: number, c = 0, d = 0): number {
  return finish(mix(mix(mix(mix(0x9747b28c, a | 0), b | 0), c | 0), d | 0));
}

/** Uniform in [0, 1) for the key (a, b, c, d). */
export function randomUniform(a: number, b: number, c = 0, d = 0): number {
  return randomWord(a, b, c, d) / 4294967296;
}

/** The numbers 0..count-1 in an order that (seed, key) alone decides (Fisher and Yates). */
export function shuffled(count: number, seed: number, key: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = randomWord(seed, key, i) % (i + 1);
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
