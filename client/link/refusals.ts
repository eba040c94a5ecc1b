import { LIMITS } from '../../shared/limits.ts';

export interface Refusal {
  /** A peer, or `server`. */
  from: string;
  reason: string;
}

/** Counts what arrived and was refused. Reasons are fixed words, so the table is bounded. */
export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #recent: Refusal[] = [];
  #total = 0;

  add(from: string, reason: string): void {
    this.#total++;
    this.#counts.set(reason, this.count(reason) + 1);
    this.#recent.push({ from, reason });
    if (this.#recent.length > LIMITS.refusals.kept) this.#recent.shift();
  }

  get total(): number {
    return this.#total;
  }

  count(reason: string): number {
    return this.#counts.get(reason) ?? 0;
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** The newest refusals, oldest first. */
  recent(): readonly Refusal[] {
    return this.#recent;
  }
}
