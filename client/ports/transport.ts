import type { PeerId } from '../../shared/ids.ts';

/**
 * `control`: reliable and ordered, small messages (plans, heartbeats, notices) in MessagePack. None begins with the byte 0xC1, which links
 * keep for what they tell each other.
 * `data`: reliable, unordered frames of at most LIMITS.link.frameBytes (parts and blobs).
 */
export type Channel = 'control' | 'data';

export interface TransportHandlers {
  /** A link can carry messages from now on. */
  onOpen(peer: PeerId): void;
  /** A link is gone; it may open again. `reason` is for people. */
  onClose(peer: PeerId, reason: string): void;
  onMessage(peer: PeerId, channel: Channel, bytes: Uint8Array): void;
}

export interface TransportStats {
  bytesSent: number;
  messagesSent: number;
  bytesReceived: number;
  messagesReceived: number;
}

/** Links to the other peers of the room. What is sent to a peer arrives from exactly that peer: ids cannot be forged. */
export interface Transport {
  readonly self: PeerId;
  /** Messages that came earlier are kept (bounded) and handed over now. Called once. */
  listen(handlers: TransportHandlers): void;
  /** Peers with an open link. */
  peers(): PeerId[];
  /** False where there is no open link or its queue is full: then nothing was queued. Takes ownership of `bytes`; frames go back to the pool when sent. */
  send(to: PeerId, channel: Channel, bytes: Uint8Array): boolean;
  /** Resolves `true` when the data queue to `peer` is short again, `false` when the link is gone. */
  whenWritable(peer: PeerId): Promise<boolean>;
  /** When anything last came from a peer, be it no more than an acknowledgement; left out, or -Infinity: that is not known. */
  heardAtMs?(peer: PeerId): number;
  /** True where data goes slowly to a peer: whatever goes beside it makes it later. Left out: no link is. */
  isSlow?(peer: PeerId): boolean;
  stats(): TransportStats;
  close(): void;
}
