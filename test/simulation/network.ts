import type { Channel, Transport, TransportHandlers, TransportStats } from '../../client/ports/transport.ts';
import { releaseFrame } from '../../shared/frame-pool.ts';
import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { VirtualTime } from './virtual-clock.ts';

export interface LinkShape {
  /** One way. */
  latencyMs: number;
  bytesPerMs: number;
}

const DEFAULT_SHAPE: LinkShape = { latencyMs: 2, bytesPerMs: 8_000 };

/** Links in memory: every message takes its latency and its share of the bandwidth, and can be cut. */
export class SimNetwork {
  readonly #peers = new Map<PeerId, SimTransport>();
  readonly #shapes = new Map<string, LinkShape>();
  readonly #cut = new Set<string>();
  readonly #heldUntilMs = new Map<PeerId, number>();
  readonly #silent = new Set<PeerId>();
  /** For tests: frames on the data channel that never arrive. */
  isLost: ((from: PeerId, to: PeerId, frame: Uint8Array) => boolean) | null = null;

  constructor(readonly time: VirtualTime) {}

  /** Sets how the link of a pair behaves, both ways. */
  shape(a: PeerId, b: PeerId, shape: Partial<LinkShape>): void {
    this.#shapes.set(pairKey(a, b), { ...DEFAULT_SHAPE, ...shape });
  }

  shapeOf(a: PeerId, b: PeerId): LinkShape {
    return this.#shapes.get(pairKey(a, b)) ?? DEFAULT_SHAPE;
  }

  /** A new peer, linked to everybody there a moment later. */
  join(self: PeerId): SimTransport {
    const transport = new SimTransport(self, this);
    for (const other of this.#peers.values()) {
      this.time.at(this.time.nowMs + 5, () => {
        transport.open(other.self);
        other.open(self);
      });
    }
    this.#peers.set(self, transport);
    return transport;
  }

  /** The peer is gone without a word, as after a SIGKILL. */
  kill(peer: PeerId): void {
    this.#peers.get(peer)?.turnOff();
    this.#peers.delete(peer);
  }

  canLink(a: PeerId, b: PeerId): boolean {
    return this.#peers.has(a) && this.#peers.has(b) && !this.#cut.has(pairKey(a, b));
  }

  /** What arrives at a sleeping peer waits until it wakes. */
  hold(peer: PeerId, ms: number): void {
    this.#heldUntilMs.set(peer, this.time.nowMs + ms);
  }

  /** Nothing comes from a peer or to it any more, and its links say nothing of that: it is out of reach. */
  silence(peer: PeerId, isSilent: boolean): void {
    if (isSilent) this.#silent.add(peer);
    else this.#silent.delete(peer);
  }

  cut(a: PeerId, b: PeerId): void {
    this.#cut.add(pairKey(a, b));
    this.#peers.get(a)?.shut(b, 'cut');
    this.#peers.get(b)?.shut(a, 'cut');
  }

  mend(a: PeerId, b: PeerId): void {
    this.#cut.delete(pairKey(a, b));
    this.#peers.get(a)?.open(b);
    this.#peers.get(b)?.open(a);
  }

  /** What a hostile or broken peer might send: straight into the other's engine. */
  inject(from: PeerId, to: PeerId, channel: Channel, bytes: Uint8Array): void {
    this.#peers.get(to)?.receive(from, channel, bytes);
  }

  deliver(from: PeerId, to: PeerId, channel: Channel, bytes: Uint8Array, atMs: number): void {
    if (channel === 'data' && this.isLost?.(from, to, bytes)) return;
    if (this.#silent.has(from) || this.#silent.has(to)) return;
    this.time.at(atMs, () => {
      const heldUntilMs = this.#heldUntilMs.get(to) ?? 0;
      if (heldUntilMs > this.time.nowMs) this.deliver(from, to, channel, bytes, heldUntilMs);
      else if (!this.#cut.has(pairKey(from, to))) this.#peers.get(to)?.receive(from, channel, bytes);
    });
  }
}

const pairKey = (a: PeerId, b: PeerId): string => (a < b ? `${a} ${b}` : `${b} ${a}`);

class SimTransport implements Transport {
  #handlers: TransportHandlers | null = null;
  readonly #open = new Set<PeerId>();
  readonly #busyUntilMs = new Map<PeerId, number>();
  readonly #stats: TransportStats = { bytesSent: 0, messagesSent: 0, bytesReceived: 0, messagesReceived: 0 };

  constructor(
    readonly self: PeerId,
    private readonly network: SimNetwork,
  ) {}

  listen(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    for (const peer of this.#open) handlers.onOpen(peer);
  }

  peers(): PeerId[] {
    return [...this.#open];
  }

  send(to: PeerId, channel: Channel, bytes: Uint8Array): boolean {
    if (!this.#open.has(to)) return false;
    const { nowMs } = this.network.time;
    const { latencyMs, bytesPerMs } = this.network.shapeOf(this.self, to);
    const startMs = Math.max(nowMs, this.#busyUntilMs.get(to) ?? 0);
    if ((startMs - nowMs) * bytesPerMs > LIMITS.link.queueBytes) return false;
    const sentMs = startMs + bytes.length / bytesPerMs;
    this.#busyUntilMs.set(to, sentMs);
    this.#stats.bytesSent += bytes.length;
    this.#stats.messagesSent++;
    this.network.deliver(this.self, to, channel, bytes.slice(), sentMs + latencyMs);
    if (channel === 'data') releaseFrame(bytes);
    return true;
  }

  whenWritable(peer: PeerId): Promise<boolean> {
    if (!this.#open.has(peer)) return Promise.resolve(false);
    const { bytesPerMs } = this.network.shapeOf(this.self, peer);
    const shortMs = (this.#busyUntilMs.get(peer) ?? 0) - LIMITS.link.lowWaterBytes / bytesPerMs;
    if (shortMs <= this.network.time.nowMs) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.network.time.at(shortMs, () => resolve(this.#open.has(peer)));
    });
  }

  isSlow(peer: PeerId): boolean {
    return 1000 * this.network.shapeOf(this.self, peer).bytesPerMs < LIMITS.link.slowBytesPerSecond;
  }

  stats(): TransportStats {
    return { ...this.#stats };
  }

  close(): void {
    this.network.kill(this.self);
  }

  open(peer: PeerId): void {
    if (!this.network.canLink(this.self, peer) || this.#open.has(peer)) return;
    this.#open.add(peer);
    this.#handlers?.onOpen(peer);
  }

  shut(peer: PeerId, reason: string): void {
    if (this.#open.delete(peer)) this.#handlers?.onClose(peer, reason);
  }

  turnOff(): void {
    this.#handlers = null;
    this.#open.clear();
  }

  receive(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    if (!this.#handlers) return;
    this.#stats.bytesReceived += bytes.length;
    this.#stats.messagesReceived++;
    this.#handlers.onMessage(from, channel, bytes);
  }
}
