import type { PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

/** What came of the parts of other peers, in packets: of those wanted, how many their senders sent, and how many were there in time. */
export interface Use {
  wanted: number;
  sent: number;
  used: number;
}

/** What one peer sent over one boundary in training, frame headers included, and what it used of what came. */
export interface BoundaryTraffic {
  boundary: number;
  forwardBytes: number;
  backwardBytes: number;
  /** Sent again, on request or for safety. */
  resentBytes: number;
  forward: Use;
  backward: Use;
}

const NOTHING: Use = { wanted: 0, sent: 0, used: 0 };

/** What crossed the boundaries of the latest plan, counted at the senders; what was used of it, at the receivers. */
export class Traffic {
  /** Of the packets of other peers that were wanted lately, the share that was there in time; null before there were any. */
  inTime: number | null = null;
  readonly #counts = new Map<number, BoundaryTraffic>();

  sent(boundary: number, kind: PartFrame['kind'], bytes: number): void {
    if (kind === 'evaluation') return;
    this.#of(boundary)[`${kind}Bytes`] += bytes;
  }

  resent(boundary: number, bytes: number): void {
    this.#of(boundary).resentBytes += bytes;
  }

  used(boundary: number, kind: 'forward' | 'backward', wanted: number, sent: number, used: number): void {
    const count = this.#of(boundary)[kind];
    count.wanted += wanted;
    count.sent += sent;
    count.used += used;
    const weight = Math.min(1, wanted / LIMITS.pipeline.packetsLately);
    if (wanted > 0) this.inTime = (this.inTime ?? 1) * (1 - weight) + weight * (used / wanted);
  }

  counts(): BoundaryTraffic[] {
    return [...this.#counts.values()]
      .map((count) => ({ ...count, forward: { ...count.forward }, backward: { ...count.backward } }))
      .sort((a, b) => a.boundary - b.boundary);
  }

  /** Another plan begins, with boundaries of its own. */
  reset(): void {
    this.#counts.clear();
    this.inTime = null;
  }

  #of(boundary: number): BoundaryTraffic {
    let count = this.#counts.get(boundary);
    if (!count) {
      count = {
        boundary,
        forwardBytes: 0,
        backwardBytes: 0,
        resentBytes: 0,
        forward: { ...NOTHING },
        backward: { ...NOTHING },
      };
      this.#counts.set(boundary, count);
    }
    return count;
  }
}
