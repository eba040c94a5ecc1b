import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { DropoutMask } from '../kernels.ts';
import { perEntry, replace, run } from './program.ts';

/** shared/counter-random.ts in GLSL: the same words for the same keys, bit by bit. */
const RANDOM_WORD = `
      uint mixWord(uint hash, uint word) {
        uint k = word * 0xcc9e2d51u;
        k = (k << 15) | (k >> 17);
        hash ^= k * 0x1b873593u;
        hash = (hash << 13) | (hash >> 19);
        return hash * 5u + 0xe6546b64u;
      }
      uint randomWord(uint a, uint b, uint c) {
        uint hash = mixWord(mixWord(mixWord(mixWord(0x9747b28cu, a), b), c), 0u);
        hash ^= hash >> 16;
        hash *= 0x85ebca6bu;
        hash ^= hash >> 13;
        hash *= 0xc2b2ae35u;
        return hash ^ (hash >> 16);
      }`;

/** As Kernels.dropout. Consumes x. */
export function webglDropout(x: Tensor2D, mask: DropoutMask): Tensor2D {
  const { key, threshold, scale, firstSample, rowsPerSample, rowStride, indices } = mask;
  const entry = `int item = firstSample + r / ${rowsPerSample};
        int index = (r % ${rowsPerSample}) * ${rowStride} + int(atI(0, c) + 0.5);
        bool kept = randomWord(uint(key), uint(item), uint(index)) >= uint(threshold);
        return kept ? atX(r, c) * float(${scale.toExponential(9)}) : 0.0;`;
  const uniforms = ['key', 'threshold', 'firstSample'].map((name) => ({ name, type: 'int' as const }));
  const program = perEntry(['X', 'I'], [x.shape[0], x.shape[1]], entry, uniforms, RANDOM_WORD);
  return replace(x, () => run(program, [x, indices], [key | 0, threshold | 0, firstSample]));
}
