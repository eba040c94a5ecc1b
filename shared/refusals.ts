import { LIMITS } from './limits.ts';

export interface Refusal {
  /** Who it came from: a peer's id or `server`. */
  from: string;
  /** A short stable word, for counting. */
  reason: string;
  detail: string;
}

/** What this peer would not take from others: counted by reason, the newest kept for the log. Reasons are fixed words. */
export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #recent: Refusal[] = [];
  #total = 0;

  add(from: string, reason: string, detail = ''): void {
    this.#total++;
    this.#counts.set(reason, this.count(reason) + 1);
    this.#recent.push({ from, reason, detail });
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
