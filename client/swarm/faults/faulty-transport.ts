import { peekPart } from '../../../shared/frames.ts';
import { PART_HEADER_BYTES } from '../../../shared/packets.ts';
import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { Faults } from '../../../shared/schema/faults.ts';
import type { Cancel, Clock } from '../../ports/clock.ts';
import type { Channel, Transport, TransportHandlers, TransportStats } from '../../ports/transport.ts';
import { FaultLink, type FrameKey } from './fault-link.ts';

interface Held {
  from: PeerId;
  bytes: Uint8Array;
  cancel: Cancel;
}

interface Injection {
  faults: Faults;
  seed: number;
  run: number;
  sinceMs: number;
  links: Map<PeerId, FaultLink>;
}

/**
 * A transport on which frames of parts are lost, late, doubled or out of order as somebody asked, for experiments. It works where
 * frames arrive, so all that was sent has cost what it costs. Without faults it changes nothing. Evaluations wait for every frame, so
 * where they are to meet losses, a frame that is lost comes as zeros.
 */
export class FaultyTransport implements Transport {
  #injection: Injection | null = null;
  #handlers: TransportHandlers | null = null;
  readonly #held = new Set<Held>();
  #heldBytes = 0;

  constructor(
    private readonly inner: Transport,
    private readonly clock: Clock,
    private readonly nameOf: (peer: PeerId) => string,
  ) {}

  /** From now on; the same run's faults go on where they were. Null: no more of them. */
  inject(faults: Faults | null, seed: number, run: number): void {
    if (faults && this.#injection?.run === run) return;
    this.#injection = faults && { faults, seed, run, sinceMs: this.clock.now(), links: new Map() };
  }

  get self(): PeerId {
    return this.inner.self;
  }

  listen(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    this.inner.listen({
      onOpen: (peer) => handlers.onOpen(peer),
      onClose: (peer, reason) => {
        for (const held of this.#held) if (held.from === peer) this.#letGo(held);
        handlers.onClose(peer, reason);
      },
      onMessage: (peer, channel, bytes) => this.#arrive(peer, channel, bytes),
    });
  }

  peers(): PeerId[] {
    return this.inner.peers();
  }

  send(to: PeerId, channel: Channel, bytes: Uint8Array): boolean {
    return this.inner.send(to, channel, bytes);
  }

  whenWritable(peer: PeerId): Promise<boolean> {
    return this.inner.whenWritable(peer);
  }

  heardAtMs(peer: PeerId): number {
    return this.inner.heardAtMs?.(peer) ?? -Infinity;
  }

  isSlow(peer: PeerId): boolean {
    return this.inner.isSlow?.(peer) ?? false;
  }

  stats(): TransportStats {
    return this.inner.stats();
  }

  close(): void {
    for (const held of this.#held) this.#letGo(held);
    this.#handlers = null;
    this.inner.close();
  }

  #arrive(from: PeerId, channel: Channel, bytes: Uint8Array): void {
    const injection = this.#injection;
    const key = injection && channel === 'data' ? peekPart(bytes) : null;
    if (!injection || !key) {
      this.#handlers?.onMessage(from, channel, bytes);
      return;
    }
    const sinceMs = this.clock.now() - injection.sinceMs;
    if (key.kind === 'evaluation') {
      const isLost = injection.faults.tests && this.#linkOf(injection, from).drops(key, sinceMs);
      this.#handlers?.onMessage(from, channel, isLost ? asZeros(bytes) : bytes);
      return;
    }
    const link = this.#linkOf(injection, from);
    if (this.#isCut(injection, from, key.step) || link.drops(key, sinceMs)) return;
    const stallMs = Math.max(
      this.#stallMs(injection, from, sinceMs),
      this.#stallMs(injection, this.self, sinceMs),
    );
    const { duplicate = 0 } = link.faults;
    this.#deliver(from, bytes, stallMs + lateMs(link, key, ''));
    if (duplicate > 0 && link.uniform('duplicate', key) < duplicate)
      this.#deliver(from, bytes.slice(), stallMs + lateMs(link, key, ' again'));
  }

  #deliver(from: PeerId, bytes: Uint8Array, delayMs: number): void {
    if (delayMs === 0) {
      this.#handlers?.onMessage(from, 'data', bytes);
      return;
    }
    // What finds no room is one more loss.
    if (this.#heldBytes + bytes.length > LIMITS.link.delayedBytes) return;
    const held: Held = { from, bytes, cancel: () => undefined };
    held.cancel = this.clock.after(delayMs, () => {
      this.#letGo(held);
      this.#handlers?.onMessage(from, 'data', bytes);
    });
    this.#held.add(held);
    this.#heldBytes += bytes.length;
  }

  #letGo(held: Held): void {
    held.cancel();
    if (this.#held.delete(held)) this.#heldBytes -= held.bytes.length;
  }

  #linkOf({ faults, seed, links }: Injection, from: PeerId): FaultLink {
    let link = links.get(from);
    if (!link) {
      const named = faults.links?.find(({ between }) => this.#isBetween(between, from));
      link = new FaultLink(named ?? faults, seed, this.nameOf(from), this.nameOf(this.self));
      links.set(from, link);
    }
    return link;
  }

  #isCut({ faults }: Injection, from: PeerId, step: number): boolean {
    return (faults.cuts ?? []).some(
      ({ between, steps: [first, last] }) => step >= first && step <= last && this.#isBetween(between, from),
    );
  }

  /** What is left of a stall of that peer; 0: it does not stall. */
  #stallMs({ faults }: Injection, peer: PeerId, sinceMs: number): number {
    const stall = (faults.stalls ?? []).find((one) => one.peer === this.nameOf(peer));
    if (!stall) return 0;
    const everyMs = stall.everySeconds * 1000;
    const restMs = everyMs - (sinceMs % everyMs);
    return restMs <= stall.seconds * 1000 ? restMs : 0;
  }

  #isBetween([a, b]: readonly [string, string], from: PeerId): boolean {
    const names = [this.nameOf(from), this.nameOf(this.self)];
    return names.includes(a) && names.includes(b) && a !== b;
  }
}

/** The same frame of a part, all of whose numbers are zero: in every wire format, as scales of zero are zero, too. */
const asZeros = (bytes: Uint8Array): Uint8Array => bytes.slice().fill(0, PART_HEADER_BYTES);

/** By how much a frame is late on its own account. */
function lateMs(link: FaultLink, key: FrameKey, which: string): number {
  const { jitterMs = 0, reorder = 0 } = link.faults;
  const isBehind = reorder > 0 && link.uniform(`reorder${which}`, key) < reorder;
  const jitter = jitterMs > 0 ? jitterMs * link.uniform(`jitter${which}`, key) : 0;
  return jitter + (isBehind ? jitterMs + LIMITS.faults.reorderMs : 0);
}
