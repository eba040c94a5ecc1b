import { isLostNext } from '../../../shared/bursts.ts';
import { hashText, randomUniform } from '../../../shared/counter-random.ts';
import { LIMITS } from '../../../shared/limits.ts';

/** What a line does to packets. */
export interface LineTraits {
  /** Share of packets that are lost. */
  loss: number;
  /** Mean number of packets lost in a row; null: each for itself. */
  burst: number | null;
  /** One way. */
  latencyMs: number;
  /** The latency varies by up to so much, either way. */
  jitterMs: number;
}

/** Lets bytes through at a rate, one packet after the other; what would wait too long is lost. */
export class Shaper {
  #freeAtMs = 0;

  constructor(private readonly bytesPerSecond: number) {}

  /** When a packet that comes now is through; null where it is lost. */
  leavesAt(bytes: number, nowMs: number): number | null {
    const startMs = Math.max(nowMs, this.#freeAtMs);
    if (startMs - nowMs > LIMITS.lab.queueMs) return null;
    this.#freeAtMs = startMs + (1000 * bytes) / this.bytesPerSecond;
    return this.#freeAtMs;
  }
}

const JITTER = hashText('jitter');
const LOSS = hashText('loss');

/** The way from one peer to another: which packets get lost, and when the others arrive. The same seed loses the same packets. */
export class Line {
  readonly #key: number;
  #packets = 0;
  #wasLost = false;
  #lastMs = 0;

  constructor(
    private readonly traits: LineTraits,
    seed: number,
    from: number,
    to: number,
  ) {
    this.#key = seed ^ hashText(`${from}>${to}`);
  }

  /** True where the next packet is lost. */
  loses(): boolean {
    const { loss, burst } = this.traits;
    const turn = randomUniform(this.#key, LOSS, this.#packets++);
    if (loss === 0) return false;
    this.#wasLost = burst === null ? turn < loss : isLostNext(this.#wasLost, turn, loss, burst);
    return this.#wasLost;
  }

  /** When a packet arrives that sets out then. Packets do not overtake each other. */
  arrivesAt(outMs: number): number {
    this.#lastMs = Math.max(this.#lastMs, outMs + this.#delayMs(outMs));
    return this.#lastMs;
  }

  /** One draw for a slice of time: with one for each packet, the slowest of many neighbours would hold up all of them. */
  #delayMs(atMs: number): number {
    const { latencyMs, jitterMs } = this.traits;
    if (jitterMs === 0) return latencyMs;
    const turn = randomUniform(this.#key, JITTER, Math.floor(atMs / LIMITS.lab.jitterSliceMs));
    return Math.max(0, latencyMs + (2 * turn - 1) * jitterMs);
  }
}
