import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { Lateness } from './lateness.ts';

/**
 * What is known of a lane whose parts come in at one boundary: how far it has got, since when, and what it does not send. Parts of a
 * stream leave in order, so a later one is a sign of all before it.
 */
export class Sender {
  /** Parts up to this one have left, or will not come. */
  through = -1;
  /** True where the lane is this block's own. */
  isOwn = false;
  /** How much later than another lane's its first sign of a part comes; not at all where it is the first itself. */
  readonly behind = new Lateness(LIMITS.pipeline.behindFirstMs);
  readonly #signsMs = new Map<number, number>();
  readonly #fewer = new Map<number, number>();

  constructor(readonly peer: PeerId) {}

  /** All parts up to `sequence` are on their way; gives those of [first, end) of which this is the first sign. Others are not kept. */
  advance(sequence: number, nowMs: number, first: number, end: number): number[] {
    const news: number[] = [];
    for (let i = Math.max(this.through + 1, first); i <= Math.min(sequence, end - 1); i++) {
      this.#signsMs.set(i, nowMs);
      news.push(i);
    }
    this.through = Math.max(this.through, sequence);
    return news;
  }

  /** When the first sign of a part came. */
  signMs(sequence: number): number | undefined {
    return this.#signsMs.get(sequence);
  }

  /** It sends only so many packets of a part. */
  sendsFewer(sequence: number, packets: number): void {
    this.#fewer.set(sequence, Math.min(this.#fewer.get(sequence) ?? Infinity, packets));
  }

  packetsOf(sequence: number, whole: number): number {
    return Math.min(whole, this.#fewer.get(sequence) ?? whole);
  }

  /** A part was taken, or given up: its sign is kept for a while, so that a late one can be measured. */
  close(sequence: number): void {
    this.#fewer.delete(sequence);
    this.#signsMs.delete(sequence - LIMITS.pipeline.lateParts);
  }
}
