import { LIMITS } from './limits.ts';

export interface Refusal {
  /** Who it came from: a peer's id or `server`. */
  from: string;
  /** A short stable word, for counting. */
  reason: string;
  detail: string;
}

/** What this peer would not take from others: counted by reason, the last ones kept for the log. */
export class Refusals {
  readonly #counts = new Map<string, number>();
  readonly #kept: Refusal[] = [];
  total = 0;

  add(from: string, reason: string, detail = ''): void {
    this.total++;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.#kept.push({ from, reason, detail });
    if (this.#kept.length > LIMITS.refusals.kept) this.#kept.shift();
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  log(): readonly Refusal[] {
    return this.#kept;
  }
}
