import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import type { Channel, Transport, TransportHandlers, TransportStats } from '../ports/transport.ts';

interface Held {
  due: number;
  bytes: number;
  deliver: () => void;
}

interface Line {
  held: Held[];
  bytes: number;
  cancel: Cancel | null;
}

/**
 * A transport whose links are longer: what arrives from a peer is held back for `delayMs(peer)`. Order is kept, also
 * between messages and the link's opening and closing. For experiments.
 */
export class DelayedTransport implements Transport {
  readonly #inner: Transport;
  readonly #clock: Clock;
  readonly #delayMs: (peer: PeerId) => number;
  readonly #lines = new Map<PeerId, Line>();
  #closed = false;

  constructor(inner: Transport, clock: Clock, delayMs: (peer: PeerId) => number) {
    this.#inner = inner;
    this.#clock = clock;
    this.#delayMs = delayMs;
  }

  get self(): PeerId {
    return this.#inner.self;
  }

  listen(handlers: TransportHandlers): void {
    this.#inner.listen({
      onOpen: (peer) => this.#hold(peer, 0, () => handlers.onOpen(peer)),
      onClose: (peer, reason) => this.#hold(peer, 0, () => handlers.onClose(peer, reason)),
      onMessage: (peer, channel, bytes) =>
        this.#hold(peer, bytes.length, () => handlers.onMessage(peer, channel, bytes)),
    });
  }

  peers(): PeerId[] {
    return this.#inner.peers();
  }

  send(to: PeerId, channel: Channel, bytes: Uint8Array): boolean {
    return this.#inner.send(to, channel, bytes);
  }

  whenWritable(peer: PeerId): Promise<boolean> {
    return this.#inner.whenWritable(peer);
  }

  heardAtMs(peer: PeerId): number {
    return this.#inner.heardAtMs?.(peer) ?? -Infinity;
  }

  isSlow(peer: PeerId): boolean {
    return this.#inner.isSlow?.(peer) ?? false;
  }

  stats(): TransportStats {
    return this.#inner.stats();
  }

  close(): void {
    this.#closed = true;
    for (const line of this.#lines.values()) line.cancel?.();
    this.#lines.clear();
    this.#inner.close();
  }

  #hold(peer: PeerId, bytes: number, deliver: () => void): void {
    if (this.#closed) return;
    const delay = Math.max(0, this.#delayMs(peer));
    const line = this.#lines.get(peer);
    if (delay === 0 && !line) {
      deliver();
      return;
    }
    const into = line ?? { held: [], bytes: 0, cancel: null };
    this.#lines.set(peer, into);
    into.held.push({ due: this.#clock.now() + delay, bytes, deliver });
    into.bytes += bytes;
    // Losing what a reliable link delivered would be another fault: a full line becomes a shorter one.
    while (into.bytes > LIMITS.link.delayedBytes) this.#deliverFirst(into);
    this.#schedule(peer, into);
  }

  #schedule(peer: PeerId, line: Line): void {
    if (this.#closed) return;
    if (line.held.length === 0) {
      line.cancel?.();
      this.#lines.delete(peer);
    } else {
      line.cancel ??= this.#clock.after(Math.max(0, line.held[0].due - this.#clock.now()), () => {
        line.cancel = null;
        while (line.held.length > 0 && line.held[0].due <= this.#clock.now()) this.#deliverFirst(line);
        this.#schedule(peer, line);
      });
    }
  }

  #deliverFirst(line: Line): void {
    const first = line.held.shift();
    if (!first || this.#closed) return;
    line.bytes -= first.bytes;
    first.deliver();
  }
}
