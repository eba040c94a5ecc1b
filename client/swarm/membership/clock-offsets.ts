import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';

/** What one heartbeat and its echo say of another peer's clock. */
interface Sample {
  /** On that clock. */
  atMs: number;
  /** That clock minus this one. */
  offsetMs: number;
  rttMs: number;
}

/** A sample that waited longer than this many of the shortest round trips (and 1 ms) says less than its neighbours. */
const USABLE = 1.5;

/**
 * How far the clocks of other peers are from this one's, by heartbeats, as NTP does it (Mills, RFC 5905, section 8): half a round trip
 * after the other side sent, it is here; right but for half the difference between the way there and the way back. Of the heartbeats
 * of a while, the one with the shortest round trip counts: it waited least. One is kept for each while, so that clocks which drift
 * apart stay aligned.
 */
export class ClockOffsets {
  readonly #samples = new Map<PeerId, Sample[]>();

  /**
   * @param sentAtMs when the heartbeat left, on the other peer's clock
   * @param nowMs when it came, on this one's
   */
  sample(peer: PeerId, sentAtMs: number, nowMs: number, rttMs: number): void {
    const samples = this.#samples.get(peer) ?? [];
    this.#samples.set(peer, samples);
    const sample = { atMs: sentAtMs, offsetMs: sentAtMs + rttMs / 2 - nowMs, rttMs };
    const last = samples.at(-1);
    if (!last || windowOf(sentAtMs) > windowOf(last.atMs)) samples.push(sample);
    else if (rttMs < last.rttMs) samples[samples.length - 1] = sample;
    if (samples.length > LIMITS.liveness.clockSamples) samples.shift();
  }

  forget(peer: PeerId): void {
    this.#samples.delete(peer);
  }

  /** The latest offset of that peer's clock, and its shortest round trip; null before anything was measured. */
  of(peer: PeerId): { offsetMs: number; rttMs: number } | null {
    const usable = this.#usable(peer);
    const last = usable.at(-1);
    return last ? { offsetMs: last.offsetMs, rttMs: Math.min(...usable.map(({ rttMs }) => rttMs)) } : null;
  }

  /** From that peer's clock to this one's: between two samples in proportion. What was never measured is taken for equal. */
  toOwn(peer: PeerId): (theirMs: number) => number {
    const samples = this.#usable(peer);
    return (theirMs) => {
      const after = samples.findIndex(({ atMs }) => atMs >= theirMs);
      if (after <= 0) return theirMs - (samples.at(after)?.offsetMs ?? 0);
      const [a, b] = [samples[after - 1], samples[after]];
      return theirMs - a.offsetMs - ((b.offsetMs - a.offsetMs) * (theirMs - a.atMs)) / (b.atMs - a.atMs);
    };
  }

  #usable(peer: PeerId): Sample[] {
    const samples = this.#samples.get(peer) ?? [];
    const leastMs = Math.min(...samples.map(({ rttMs }) => rttMs));
    return samples.filter(({ rttMs }) => rttMs <= USABLE * leastMs + 1);
  }
}

const windowOf = (ms: number): number => Math.floor(ms / LIMITS.liveness.clockSampleMs);
