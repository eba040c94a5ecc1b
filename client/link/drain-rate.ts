/** Busy time that the rate is taken over. */
const WINDOW_MS = 500;

/**
 * How fast a data channel takes what it is given: bytes that left its buffer, over the time in which there were any. A channel that ran
 * dry could have taken more, so that only tells of a rate that is at least so high.
 */
export class DrainRate {
  #bytes = 0;
  #ms = 0;
  /** What is in the buffer, and since when; null: nothing, as far as is known. */
  #stretch: { bytes: number; sinceMs: number } | null = null;

  /** Infinity before anything was measured. */
  get bytesPerSecond(): number {
    return this.#ms > 0 ? (1000 * this.#bytes) / this.#ms : Infinity;
  }

  /** What was in the buffer is not looked at any more: data goes another way from here on. */
  restart(): void {
    this.#stretch = null;
  }

  /** A message went into the buffer. */
  gave(bytes: number, nowMs: number): void {
    if (bytes === 0) return;
    this.#stretch ??= { bytes: 0, sinceMs: nowMs };
    this.#stretch.bytes += bytes;
  }

  /** There is so much in the buffer now. */
  look(buffered: number, nowMs: number): void {
    if (!this.#stretch) return;
    const { bytes, sinceMs } = this.#stretch;
    const ms = nowMs - sinceMs;
    const drained = Math.max(0, bytes - buffered);
    // Nothing left: that is no measure before it is clear that time passes.
    if (ms <= 0 || (drained === 0 && ms < WINDOW_MS)) return;
    this.#stretch = buffered > 0 ? { bytes: buffered, sinceMs: nowMs } : null;
    if (buffered === 0 && (1000 * drained) / ms < this.bytesPerSecond) return;
    this.#bytes += drained;
    this.#ms += ms;
    const share = Math.min(1, WINDOW_MS / this.#ms);
    this.#bytes *= share;
    this.#ms *= share;
  }
}
