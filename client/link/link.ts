import type { LinkSignal } from '../../shared/schema/signal.ts';
import type { Clock } from '../ports/clock.ts';
import type { Channel, TransportStats } from '../ports/transport.ts';

/** A description or a candidate of one attempt to link. */
export type Signal = LinkSignal['signal'];

/** The limits of one link, by default `LIMITS.link`; tests use smaller ones. */
export interface LinkLimits {
  frameBytes: number;
  highWaterBytes: number;
  lowWaterBytes: number;
  bufferedMs: number;
  patientBufferedBytes: number;
  slowBytesPerSecond: number;
  fastBytesPerSecond: number;
  bundleBytes: number;
  queueBytes: number;
  controlQueueBytes: number;
  controlMessageBytes: number;
  connectTimeoutMs: number;
  disconnectedMs: number;
  packetWatchMs: number;
  candidates: number;
  connections: number;
  lineTrialMs: number;
  lineGain: number;
}

/** What a link tells its owner; never during its construction, and nothing after `onClose` or `close()`. */
export interface LinkEvents {
  onSignal(signal: Signal): void;
  onOpen(): void;
  /** The link failed or the other side closed it. `reason` is for people. */
  onClose(reason: string): void;
  onMessage(channel: Channel, bytes: Uint8Array): void;
  onRefused(reason: string): void;
}

export interface LinkOptions {
  initiator: boolean;
  iceServers: RTCIceServer[];
  clock: Clock;
  limits: LinkLimits;
  /** Counted up by the link; its owner keeps it across rebuilds. */
  stats: TransportStats;
  events: LinkEvents;
}

/** One attempt to link with one peer, and the link that comes of it. */
export interface Link {
  readonly open: boolean;
  /** Bytes accepted by `send` that the channels have not taken yet. */
  readonly queuedBytes: number;
  /** When anything last came, be it no more than an acknowledgement; -Infinity where that is not known. */
  readonly heardAtMs: number;
  /** True while data drains slowly. */
  readonly isSlow: boolean;
  signal(signal: Signal): void;
  /** False where the link is not open, the message too large or its queue full: then nothing was queued. */
  send(channel: Channel, bytes: Uint8Array): boolean;
  /** Resolves `true` when the data queue is short, `false` when the link is gone. */
  whenWritable(): Promise<boolean>;
  /** Ends the link without an event. */
  close(): void;
}

export const newStats = (): TransportStats => ({
  bytesSent: 0,
  messagesSent: 0,
  bytesReceived: 0,
  messagesReceived: 0,
});

export function addStats(sum: TransportStats, more: TransportStats): TransportStats {
  return {
    bytesSent: sum.bytesSent + more.bytesSent,
    messagesSent: sum.messagesSent + more.messagesSent,
    bytesReceived: sum.bytesReceived + more.bytesReceived,
    messagesReceived: sum.messagesReceived + more.messagesReceived,
  };
}
