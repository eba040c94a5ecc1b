import { LIMITS } from '../../shared/limits.ts';

/** Weight of a new sample in the moving averages. */
const WEIGHT = 1 / 8;
/** Samples that the median is taken of. */
const SAMPLES = 32;
const SAMPLES_MIN = 4;

/** How late something comes after the sign that it should, in milliseconds. */
export class Lateness {
  #mean = 0;
  #deviation = 0;
  readonly #recent: number[] = [];

  /** @param firstMs the deadline until enough was measured */
  constructor(private readonly firstMs: number) {}

  add(ms: number): void {
    if (this.#recent.length === 0) this.#mean = ms;
    this.#deviation += WEIGHT * (Math.abs(ms - this.#mean) - this.#deviation);
    this.#mean += WEIGHT * (ms - this.#mean);
    this.#recent.push(ms);
    if (this.#recent.length > SAMPLES) this.#recent.shift();
  }

  /**
   * How long to wait: mean + 3 deviations (as TCP's timer, RFC 6298, which takes 4), within [1.2, 4] medians; a fixed time at first.
   * @param leastMs what is no lateness worth telling apart: timers and busy processors differ by as much
   */
  deadlineMs(leastMs: number = LIMITS.pipeline.deadlineLeastMs): number {
    if (this.#recent.length < SAMPLES_MIN) return this.firstMs;
    const median = [...this.#recent].sort((a, b) => a - b)[this.#recent.length >> 1];
    const middle = Math.max(leastMs, median);
    return Math.min(4 * middle, Math.max(1.2 * middle, this.#mean + 3 * this.#deviation));
  }
}
