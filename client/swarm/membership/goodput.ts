import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { encodeFrame, PROBE_FRAME_BYTES, type ProbeFrame } from '../../../shared/frames.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Transport } from '../../ports/transport.ts';

/** Arrivals closer together than this cannot be told apart. */
const RESOLUTION_MS = 1;

interface Burst {
  number: number;
  firstMs: number;
  bytes: number;
  frames: number;
}

/**
 * Measures what a link carries by short bursts after it opens: bytes after the first frame over the time they took. Several of them, since
 * one that meets a busy device says a tenth of what the next one does; and longer ones where the first was fast: what fits into the
 * buffers on the way comes at three times the rate that goes on.
 */
export class GoodputProbe {
  readonly #bursts = new Map<PeerId, Burst>();
  /** How many beats ago the first burst went to a peer that is due more. */
  readonly #beats = new Map<PeerId, number>();
  /** Bytes per second of the last burst that came from a peer. */
  readonly #rates = new Map<PeerId, number>();

  constructor(
    private readonly clock: Clock,
    private readonly transport: Transport,
    private readonly onSample: (peer: PeerId, bytesPerSecond: number) => void,
  ) {}

  /** Sends a burst for the other side to measure; `beat` sends the others. */
  probe(peer: PeerId): void {
    this.#beats.set(peer, 0);
    this.#send(peer, 0);
  }

  /** After each round of heartbeats. While training is on, a link that opened has to do with one burst. */
  beat(training: boolean): void {
    if (training) this.#beats.clear();
    const { goodputBursts, goodputBurstBeats } = LIMITS.link;
    for (const [peer, ago] of this.#beats) {
      const beats = ago + 1;
      const number = beats / goodputBurstBeats;
      if (Number.isInteger(number)) this.#send(peer, number);
      if (number < goodputBursts - 1) this.#beats.set(peer, beats);
      else this.#beats.delete(peer);
    }
  }

  receive(peer: PeerId, { index, count, payload }: ProbeFrame): void {
    const now = this.clock.now();
    const number = Math.floor(index / Math.max(1, count));
    const burst = this.#bursts.get(peer);
    const isOver = !burst || now - burst.firstMs > LIMITS.link.goodputProbeMs;
    // What comes late of an earlier burst says nothing of this one. Frames may overtake each other: whichever comes first begins a burst.
    if (!isOver && number < burst.number) return;
    if (isOver || number > burst.number) {
      this.#bursts.set(peer, { number, firstMs: now, bytes: 0, frames: 1 });
      return;
    }
    burst.bytes += payload.length;
    burst.frames++;
    if (burst.frames < Math.min(count, LIMITS.link.goodputProbeMaxBytes / 1024)) return;
    this.#bursts.delete(peer);
    const ms = Math.max(now - burst.firstMs, RESOLUTION_MS);
    const rate = (burst.bytes / ms) * 1000;
    this.#rates.set(peer, rate);
    this.onSample(peer, rate);
  }

  forget(peer: PeerId): void {
    this.#bursts.delete(peer);
    this.#beats.delete(peer);
    this.#rates.delete(peer);
  }

  #send(peer: PeerId, burst: number): void {
    const { goodputProbeBytes, goodputProbeMaxBytes, goodputBurstMs } = LIMITS.link;
    const wanted = ((this.#rates.get(peer) ?? 0) / 1000) * goodputBurstMs;
    const bytes = Math.min(goodputProbeMaxBytes, Math.max(goodputProbeBytes, wanted));
    const count = Math.ceil(bytes / PROBE_FRAME_BYTES);
    for (let i = 0; i < count; i++) {
      const payload = new Uint8Array(PROBE_FRAME_BYTES);
      this.transport.send(
        peer,
        'data',
        encodeFrame({ kind: 'probe', index: burst * count + i, count, payload }),
      );
    }
  }
}
