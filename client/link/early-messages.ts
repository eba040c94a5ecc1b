import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Channel } from '../ports/transport.ts';

interface EarlyMessage {
  peer: PeerId;
  channel: Channel;
  bytes: Uint8Array;
}

/** Messages that came before somebody could take them: before the engine listens, or before this side's link is open. */
export class EarlyMessages {
  #kept: EarlyMessage[] = [];
  readonly #refused: (peer: PeerId) => void;

  constructor(refused: (peer: PeerId) => void) {
    this.#refused = refused;
  }

  keep(peer: PeerId, channel: Channel, bytes: Uint8Array): void {
    if (this.#kept.length >= LIMITS.link.earlyMessages) this.#refused(peer);
    else this.#kept.push({ peer, channel, bytes });
  }

  /** Hands over what is kept of `peer`, in the order it came. */
  take(peer: PeerId): EarlyMessage[] {
    const taken = this.#kept.filter((message) => message.peer === peer);
    this.drop(peer);
    return taken;
  }

  drop(peer: PeerId): void {
    this.#kept = this.#kept.filter((message) => message.peer !== peer);
  }

  clear(): void {
    this.#kept = [];
  }
}
