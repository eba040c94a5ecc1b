import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { encodeFrame, PROBE_FRAME_BYTES, type ProbeFrame } from '../../../shared/frames.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Transport } from '../../ports/transport.ts';

/** Arrivals closer together than this cannot be told apart. */
const RESOLUTION_MS = 1;

interface Burst {
  firstMs: number;
  bytes: number;
  frames: number;
}

/** Measures what a link carries by a short burst when it opens: bytes after the first frame over the time they took. */
export class GoodputProbe {
  readonly #bursts = new Map<PeerId, Burst>();

  constructor(
    private readonly clock: Clock,
    private readonly transport: Transport,
    private readonly onSample: (peer: PeerId, bytesPerSecond: number) => void,
  ) {}

  /** Sends a burst for the other side to measure. */
  probe(peer: PeerId): void {
    const count = Math.ceil(LIMITS.link.goodputProbeBytes / PROBE_FRAME_BYTES);
    for (let index = 0; index < count; index++) {
      const payload = new Uint8Array(PROBE_FRAME_BYTES);
      this.transport.send(peer, 'data', encodeFrame({ kind: 'probe', index, count, payload }));
    }
  }

  receive(peer: PeerId, frame: ProbeFrame): void {
    const now = this.clock.now();
    const burst = this.#bursts.get(peer);
    // Frames may overtake each other: whichever comes first begins the burst.
    if (!burst || now - burst.firstMs > LIMITS.link.goodputProbeMs) {
      this.#bursts.set(peer, { firstMs: now, bytes: 0, frames: 1 });
      return;
    }
    burst.bytes += frame.payload.length;
    burst.frames++;
    if (burst.frames < Math.min(frame.count, LIMITS.link.goodputProbeBytes / 1024)) return;
    this.#bursts.delete(peer);
    const ms = Math.max(now - burst.firstMs, RESOLUTION_MS);
    this.onSample(peer, (burst.bytes / ms) * 1000);
  }

  forget(peer: PeerId): void {
    this.#bursts.delete(peer);
  }
}
