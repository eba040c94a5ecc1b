import type { PeerId } from '../../shared/ids.ts';

/** The measured quality of one link, both directions taken together. */
export interface PlannerLink {
  a: PeerId;
  b: PeerId;
  rttMs: number;
  /** From 0 to 1. */
  loss: number;
  /** Bytes per second. */
  goodput: number;
}

/** A message of this size is what links are compared by. */
const REFERENCE_BYTES = 64 * 1024;

/** All pairs of devices by index. Peers without a link are infinitely far apart. */
export class LinkTable {
  private constructor(
    readonly count: number,
    /** One way, [from * count + to]. */
    readonly latencyMs: Float64Array,
    readonly msPerByte: Float64Array,
    readonly loss: Float64Array,
  ) {}

  static of(peers: readonly PeerId[], links: readonly PlannerLink[]): LinkTable {
    const count = peers.length;
    const index = new Map(peers.map((peer, i) => [peer, i]));
    const table = LinkTable.#empty(count);
    for (const { a, b, rttMs, loss, goodput } of links) {
      const [i, j] = [index.get(a), index.get(b)];
      if (i === undefined || j === undefined || i === j || !(goodput > 0)) continue;
      for (const at of [i * count + j, j * count + i]) {
        table.latencyMs[at] = rttMs / 2;
        table.msPerByte[at] = 1000 / goodput;
        table.loss[at] = loss;
      }
    }
    return table;
  }

  static #empty(count: number): LinkTable {
    const far = () => {
      const all = new Float64Array(count * count).fill(Infinity);
      for (let i = 0; i < count; i++) all[i * count + i] = 0;
      return all;
    };
    return new LinkTable(count, far(), far(), new Float64Array(count * count));
  }

  /** The same links under other indices: place k of the new table is `order[k]` of this one. */
  inOrder(order: readonly number[]): LinkTable {
    const table = LinkTable.#empty(this.count);
    order.forEach((a, i) => {
      order.forEach((b, j) => {
        const [from, to] = [a * this.count + b, i * this.count + j];
        table.latencyMs[to] = this.latencyMs[from];
        table.msPerByte[to] = this.msPerByte[from];
        table.loss[to] = this.loss[from];
      });
    });
    return table;
  }

  areLinked = (a: number, b: number): boolean => this.latencyMs[a * this.count + b] < Infinity;

  /** Mean loss of a device's links. */
  lossOf(device: number): number {
    return meanOf(this.#others(device).map((other) => this.loss[device * this.count + other]));
  }

  /** Mean over the other devices of 1 / (time to move a message of reference size there); 0 where there is no link. */
  closenessOf(device: number): number {
    const all = Array.from({ length: this.count }, (_, other) => other).filter((other) => other !== device);
    return meanOf(all.map((other) => 1 / this.transferMs(device, other)));
  }

  /** Time to move a message of reference size, sent ETX = 1 / (1 - loss)^2 times (De Couto et al., MobiCom 2003). */
  transferMs(a: number, b: number): number {
    const at = a * this.count + b;
    const sends = 1 / Math.max(1 - this.loss[at], 0.01) ** 2;
    return Math.max(sends * REFERENCE_BYTES * this.msPerByte[at] + this.latencyMs[at], 1e-6);
  }

  /** The middle of what there is. */
  typical(): { latencyMs: number; msPerByte: number } {
    const pairs: number[] = [];
    for (let a = 0; a < this.count; a++) {
      for (const b of this.#others(a)) if (b > a) pairs.push(a * this.count + b);
    }
    return {
      latencyMs: medianOf(pairs.map((at) => this.latencyMs[at])),
      msPerByte: medianOf(pairs.map((at) => this.msPerByte[at])),
    };
  }

  #others(device: number): number[] {
    const all = Array.from({ length: this.count }, (_, other) => other);
    return all.filter((other) => other !== device && this.areLinked(device, other));
  }
}

export const meanOf = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((total, value) => total + value, 0) / values.length;

function medianOf(values: readonly number[]): number {
  if (values.length === 0) return 0;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
