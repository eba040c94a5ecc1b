export interface LedgerCounts {
  whole: number;
  partial: number;
  skipped: number;
}

/** What became of every micro-batch at one block. Each ends exactly once. */
export class Ledger {
  readonly #counts: LedgerCounts = { whole: 0, partial: 0, skipped: 0 };
  #open = 0;

  begin(): void {
    this.#open++;
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

  counts(): LedgerCounts {
    return { ...this.#counts };
  }
}
