import type { Normalisation } from '../../shared/model.ts';

/** Bytes to numbers by (byte / 255 - mean) / deviation, through a table of the 256 results. */
export class Normaliser {
  private readonly table: Float32Array;

  constructor({ mean, deviation }: Normalisation) {
    this.table = Float32Array.from({ length: 256 }, (_, byte) => (byte / 255 - mean) / deviation);
  }

  apply(bytes: Uint8Array): Float32Array {
    const numbers = new Float32Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) numbers[i] = this.table[bytes[i]];
    return numbers;
  }
}
