import type { PartFrame } from '../../shared/frames.ts';

/** Bytes that one peer sent over one boundary in training, frame headers included. */
export interface BoundaryTraffic {
  boundary: number;
  forwardBytes: number;
  backwardBytes: number;
}

/** What crossed the boundaries of the latest plan, counted at the senders. */
export class Traffic {
  readonly #counts = new Map<number, BoundaryTraffic>();

  sent(boundary: number, kind: PartFrame['kind'], bytes: number): void {
    if (kind === 'evaluation') return;
    let count = this.#counts.get(boundary);
    if (!count) this.#counts.set(boundary, (count = { boundary, forwardBytes: 0, backwardBytes: 0 }));
    if (kind === 'forward') count.forwardBytes += bytes;
    else count.backwardBytes += bytes;
  }

  counts(): BoundaryTraffic[] {
    return [...this.#counts.values()].map((count) => ({ ...count })).sort((a, b) => a.boundary - b.boundary);
  }

  /** Another plan begins, with boundaries of its own. */
  reset(): void {
    this.#counts.clear();
  }
}
