import type { PeerId } from '../../../shared/ids.ts';
import type { Link, LinkOptions } from '../../../client/link/link.ts';
import { Mesh, type MeshOptions } from '../../../client/link/mesh.ts';
import { PeerLink } from '../../../client/link/peer-link.ts';
import { browserRandom } from '../../../client/link/random.ts';
import type { Channel } from '../../../client/ports/transport.ts';
import { CountingClock } from '../../link/fake-clock.ts';
import { FakeRoom, member, type Seat } from '../../link/fake-room.ts';

export interface Received {
  peer: PeerId;
  channel: Channel;
  bytes: Uint8Array;
}

/** One tab of the room, with everything it heard. */
export class Tab {
  readonly clock = new CountingClock();
  readonly seat: Seat;
  readonly mesh: Mesh;
  readonly links: Link[] = [];
  readonly received: Received[] = [];
  readonly opened: PeerId[] = [];
  readonly closed: string[] = [];

  constructor(room: FakeRoom, letter: string, options: Partial<MeshOptions> = {}) {
    this.seat = room.seat(member(letter));
    this.mesh = new Mesh({
      signaling: this.seat,
      clock: this.clock,
      random: browserRandom,
      createLink: (link: LinkOptions) => {
        const made = new PeerLink(link);
        this.links.push(made);
        return made;
      },
      ...options,
    });
  }

  get id(): PeerId {
    return this.mesh.self;
  }

  listen(): void {
    this.mesh.listen({
      onOpen: (peer) => this.opened.push(peer),
      onClose: (peer, reason) => this.closed.push(`${peer}: ${reason}`),
      onMessage: (peer, channel, bytes) => this.received.push({ peer, channel, bytes }),
    });
  }

  got(channel: Channel): Uint8Array[] {
    return this.received.filter((message) => message.channel === channel).map((message) => message.bytes);
  }
}

/** Waits until `condition` holds; rejects with `what` after `ms`. */
export async function until(what: string, condition: () => boolean, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`Waited ${ms} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** `size` bytes that depend on `key`. */
export const pattern = (size: number, key: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + key * 17 + (i >> 8)) & 255);

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

export const open = (...tabs: Tab[]): Promise<void> =>
  until('all links open', () => tabs.every((tab) => tab.mesh.peers().length === tabs.length - 1));

/** The tabs of one test, and every connection and channel that they made. */
export class Lab {
  tabs: Tab[] = [];
  connections: RTCPeerConnection[] = [];
  channels: RTCDataChannel[] = [];
  /** Connections beyond so many never show a channel that the other side has opened. */
  deafBeyond = Infinity;
  readonly #original = window.RTCPeerConnection;

  start(): void {
    const { connections, channels } = this;
    const isDeaf = () => connections.length > this.deafBeyond;
    window.RTCPeerConnection = class extends this.#original {
      constructor(config?: RTCConfiguration) {
        super(config);
        connections.push(this);
        if (isDeaf()) Object.defineProperty(this, 'ondatachannel', { set: () => undefined });
      }

      override createDataChannel(label: string, init?: RTCDataChannelInit): RTCDataChannel {
        const channel = super.createDataChannel(label, init);
        channels.push(channel);
        return channel;
      }
    };
  }

  room(letters: string, options: Partial<MeshOptions> = {}): [FakeRoom, ...Tab[]] {
    const room = new FakeRoom();
    this.tabs = Array.from(letters, (letter) => new Tab(room, letter, options));
    return [room, ...this.tabs];
  }

  /** All listen and join, in this order, and link up. */
  async join(...tabs: Tab[]): Promise<void> {
    for (const tab of tabs) {
      tab.listen();
      tab.seat.join();
    }
    await open(...tabs);
  }

  clear(): void {
    for (const tab of this.tabs) tab.mesh.close();
    this.tabs = [];
    this.connections.length = 0;
    this.channels.length = 0;
    this.deafBeyond = Infinity;
  }

  stop(): void {
    window.RTCPeerConnection = this.#original;
  }
}
