import type { Cancel, Clock } from '../ports/clock.ts';

/**
 * When anything last came over a connection, be it no more than an acknowledgement. Where links lose packets, messages wait for what was lost
 * before them, seconds long; packets come all the time, and stop with the link.
 */
export class PacketWatch {
  /** By the clock's time; -Infinity before anything came, and where the browser does not count. */
  heardAtMs = -Infinity;
  #bytes: number | null = null;
  #lookedAtMs: number;
  #stopped = false;
  #cancel: Cancel;

  constructor(
    private readonly connection: Pick<RTCPeerConnection, 'getStats'>,
    private readonly clock: Clock,
    private readonly everyMs: number,
  ) {
    this.#lookedAtMs = clock.now();
    this.#cancel = clock.after(everyMs, () => void this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  async #look(): Promise<void> {
    try {
      const report = await this.connection.getStats();
      const bytes = bytesReceived(report);
      const nowMs = this.clock.now();
      if (this.#bytes !== null && bytes > this.#bytes)
        this.heardAtMs = Math.max(this.#lookedAtMs, nowMs - ageOfLastMs(report));
      this.#bytes = bytes;
      this.#lookedAtMs = nowMs;
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

/** How long ago the last packet came; 0 where the browser does not say. */
function ageOfLastMs(report: RTCStatsReport): number {
  let leastMs = Infinity;
  report.forEach((entry: { timestamp: number; lastPacketReceivedTimestamp?: number }) => {
    if (entry.lastPacketReceivedTimestamp !== undefined)
      leastMs = Math.min(leastMs, Math.max(0, entry.timestamp - entry.lastPacketReceivedTimestamp));
  });
  return leastMs < Infinity ? leastMs : 0;
}
