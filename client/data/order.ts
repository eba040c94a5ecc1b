import { LIMITS } from '../../shared/limits.ts';
import { shuffled } from '../../shared/counter-random.ts';

/**
 * The order of samples in training, decided by the seed alone, so that the peer with the inputs and the peer with the
 * labels agree without a word. Each epoch shuffles the chunks, then the samples within a chunk: whoever reads in this
 * order needs one or two chunks at a time.
 */
export class SampleOrder {
  readonly #chunkCount: number;
  #epoch = -1;
  #chunks: Uint32Array = new Uint32Array();
  readonly #within = new Map<number, Uint32Array>();

  constructor(
    private readonly samples: number,
    private readonly seed: number,
    private readonly chunkSamples: number = LIMITS.data.chunkSamples,
  ) {
    this.#chunkCount = Math.ceil(samples / chunkSamples);
  }

  /** The samples at positions [start, start + count) of the endless sequence of epochs. */
  slice(start: number, count: number): Uint32Array {
    return Uint32Array.from({ length: count }, (_, i) => this.#at(start + i));
  }

  #at(position: number): number {
    const epoch = Math.floor(position / this.samples);
    if (epoch !== this.#epoch) this.#begin(epoch);
    let left = position - epoch * this.samples;
    for (const chunk of this.#chunks) {
      const size = Math.min(this.chunkSamples, this.samples - chunk * this.chunkSamples);
      if (left < size) return chunk * this.chunkSamples + this.#orderWithin(chunk, size)[left];
      left -= size;
    }
    throw new Error('unreachable: the chunks hold all samples');
  }

  #begin(epoch: number): void {
    this.#epoch = epoch;
    this.#chunks = shuffled(this.#chunkCount, this.seed, epoch);
    this.#within.clear();
  }

  #orderWithin(chunk: number, size: number): Uint32Array {
    let order = this.#within.get(chunk);
    if (!order) {
      order = shuffled(size, this.seed ^ 0x5bd1e995, this.#epoch * this.#chunkCount + chunk);
      this.#within.set(chunk, order);
    }
    return order;
  }
}
