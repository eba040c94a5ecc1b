import type { Cancel, Clock } from '../ports/clock.ts';

/**
 * When anything last came over a connection, be it no more than an acknowledgement. Where links lose packets, messages wait for what was lost
 * before them, seconds long; packets come all the time, and stop with the link.
 */
export class PacketWatch {
  /** By the clock's time; -Infinity before anything came, and where the browser does not count. */
  heardAtMs = -Infinity;
  #bytes: number | null = null;
  #stopped = false;
  #cancel: Cancel;

  constructor(
    private readonly connection: Pick<RTCPeerConnection, 'getStats'>,
    private readonly clock: Clock,
    private readonly everyMs: number,
  ) {
    this.#cancel = clock.after(everyMs, () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    try {
      const bytes = bytesReceived(await this.connection.getStats());
      if (this.#bytes !== null && bytes > this.#bytes) this.heardAtMs = this.clock.now();
      this.#bytes = bytes;
    } catch {
      // A connection that is closing has no more to tell.
    }
    if (!this.#stopped) this.#cancel = this.clock.after(this.everyMs, () => void this.#look());
  }
}

/** Chromium counts at the transport, others at pairs of candidates. */
function bytesReceived(report: RTCStatsReport): number {
  let ofTransports = 0;
  let ofPairs = 0;
  report.forEach((entry: { type: string; bytesReceived?: number }) => {
    if (entry.type === 'transport') ofTransports += entry.bytesReceived ?? 0;
    if (entry.type === 'candidate-pair') ofPairs += entry.bytesReceived ?? 0;
  });
  return Math.max(ofTransports, ofPairs);
}
