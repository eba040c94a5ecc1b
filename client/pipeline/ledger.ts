export interface LedgerCounts {
  whole: number;
  partial: number;
  skipped: number;
}

/** How stale weights were, in updates, over all micro-batches that began. */
export interface Staleness {
  micros: number;
  sum: number;
  max: number;
}

/** What became of every micro-batch at one block. Each ends exactly once. */
export class Ledger {
  readonly #counts: LedgerCounts = { whole: 0, partial: 0, skipped: 0 };
  readonly #staleness: Staleness = { micros: 0, sum: 0, max: 0 };
  #open = 0;

  /** @param staleness updates that its forward did without */
  begin(staleness = 0): void {
    this.#open++;
    this.#staleness.micros++;
    this.#staleness.sum += staleness;
    this.#staleness.max = Math.max(this.#staleness.max, staleness);
  }

  end(verdict: keyof LedgerCounts): void {
    if (this.#open === 0) throw new Error(`A micro-batch ended as ${verdict} that had not begun.`);
    this.#open--;
    this.#counts[verdict]++;
  }

  /** Micro-batches that had begun when training was interrupted are skipped. */
  interrupt(): void {
    while (this.#open > 0) this.end('skipped');
  }

  staleness(): Staleness {
    return { ...this.#staleness };
  }

  counts(): LedgerCounts {
    return { ...this.#counts };
  }
}
