/** What may be waited in vain in one step of one block, in milliseconds. */
export class Budget {
  #spentMs = 0;
  #untilMs = -Infinity;

  constructor(private readonly capMs: number) {}

  /** When a wait that began then ends: after its deadline, or once the rest of the cap is used up. */
  endMs(startMs: number, deadlineMs: number): number {
    return startMs + Math.min(deadlineMs, Math.max(0, this.capMs - this.#spentMs));
  }

  /** A wait since `startMs` was in vain. Waits at the same time count once. */
  spend(startMs: number, nowMs: number): void {
    this.#spentMs += Math.max(0, nowMs - Math.max(startMs, this.#untilMs));
    this.#untilMs = nowMs;
  }

  renew(): void {
    this.#spentMs = 0;
  }
}
