import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { LIMITS } from '../../../shared/limits.ts';
import type { Endpoint } from './ice.ts';
import { Line, Shaper, type LineTraits } from './line.ts';

export interface RelayTraits extends LineTraits {
  /** Of each peer, each way; null: without a limit. */
  bytesPerSecond: number | null;
}

export interface RelayOptions {
  traits: RelayTraits;
  seed: number;
  /** Where the sockets listen; by default each at the address that it stands for. */
  address?: string;
}

/** An endpoint of a peer, and the socket that stands for it. */
interface Alias {
  real: Endpoint;
  socket: Socket;
  at: Endpoint;
  /** The peer that was told of it, so the only one that can have sent to it. */
  toldTo: number;
}

interface Packet {
  atMs: number;
  bytes: Buffer;
}

/** Packets on their way along one line, in order. */
interface Way {
  line: Line;
  packets: (Packet & { deliver: () => void })[];
  timer: NodeJS.Timeout | null;
}

const keyOf = ({ address, port }: Endpoint): string => `${address} ${port}`;

/**
 * Stands between peers and makes their links worse, by seed. Every endpoint of a peer has an alias, a socket here; each side is told
 * the other's alias and knows nothing else. What comes to an alias goes on to its endpoint, from the alias of who sent it.
 */
export class UdpRelay {
  /** Of the packets that came in. */
  readonly packets = { sent: 0, lost: 0 };
  readonly #aliases = new Map<string, Promise<Alias>>();
  readonly #ready = new Map<string, Alias>();
  readonly #ways = new Map<string, Way>();
  readonly #shapers = new Map<string, Shaper>();
  readonly #cut = new Set<number>();
  #held = 0;
  #closed = false;

  constructor(private readonly options: RelayOptions) {}

  /** What stands for the endpoint, for the peer with that number: for nobody else. */
  async aliasOf(real: Endpoint, toldTo: number): Promise<Endpoint> {
    const key = keyOf(real);
    let alias = this.#aliases.get(key);
    if (!alias) {
      if (this.#closed || this.#aliases.size >= LIMITS.lab.aliases) return real;
      alias = this.#open(real, toldTo);
      this.#aliases.set(key, alias);
    }
    const opened = await alias;
    // A new link may have got an old one's port.
    opened.toldTo = toldTo;
    return opened.at;
  }

  /** Nothing comes from or to the peer. */
  cut(peer: number): void {
    this.#cut.add(peer);
  }

  heal(peer: number): void {
    this.#cut.delete(peer);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const { timer } of this.#ways.values()) clearTimeout(timer ?? undefined);
    this.#ways.clear();
    const opened = await Promise.allSettled(this.#aliases.values());
    for (const result of opened) if (result.status === 'fulfilled') result.value.socket.close();
    this.#aliases.clear();
    this.#ready.clear();
  }

  async #open(real: Endpoint, toldTo: number): Promise<Alias> {
    const socket = createSocket('udp4');
    const address = this.options.address ?? real.address;
    socket.bind({ address, port: 0 });
    await once(socket, 'listening');
    const { port } = socket.address();
    const alias: Alias = { real, socket, at: { address, port }, toldTo };
    // A peer whose browser ended refuses what comes: that is its affair.
    socket.on('error', () => undefined);
    socket.on('message', (bytes, from) => this.#take(bytes, from, alias));
    this.#ready.set(keyOf(real), alias);
    return alias;
  }

  #take(bytes: Buffer, from: RemoteInfo, alias: Alias): void {
    const sender = this.#ready.get(keyOf(from));
    // Nobody was told of the sender yet, so nobody could answer; ICE asks again.
    if (!sender || this.#closed) return;
    const [source, target] = [alias.toldTo, sender.toldTo];
    const way = this.#wayOf(source, target);
    this.packets.sent++;
    const atMs = this.#arrivalOf(bytes.length, way.line, source, target);
    if (atMs === null) {
      this.packets.lost++;
      return;
    }
    const deliver = () => {
      if (!this.#cut.has(source) && !this.#cut.has(target))
        sender.socket.send(bytes, alias.real.port, alias.real.address, () => undefined);
    };
    this.#held++;
    way.packets.push({ atMs, bytes, deliver });
    this.#pump(way);
  }

  #arrivalOf(bytes: number, line: Line, source: number, target: number): number | null {
    if (line.loses() || this.#held >= LIMITS.lab.packetsHeld) return null;
    if (this.#cut.has(source) || this.#cut.has(target)) return null;
    const outMs = this.#shape(`up ${source}`, bytes, performance.now());
    const throughMs = outMs === null ? null : this.#shape(`down ${target}`, bytes, outMs);
    return throughMs === null ? null : line.arrivesAt(throughMs);
  }

  #shape(which: string, bytes: number, nowMs: number): number | null {
    const { bytesPerSecond } = this.options.traits;
    if (bytesPerSecond === null) return nowMs;
    let shaper = this.#shapers.get(which);
    if (!shaper) this.#shapers.set(which, (shaper = new Shaper(bytesPerSecond)));
    return shaper.leavesAt(bytes, nowMs);
  }

  #wayOf(source: number, target: number): Way {
    const key = `${source}>${target}`;
    let way = this.#ways.get(key);
    if (!way) {
      const line = new Line(this.options.traits, this.options.seed, source, target);
      this.#ways.set(key, (way = { line, packets: [], timer: null }));
    }
    return way;
  }

  /** Sends on what is due, and comes back when the next is. */
  #pump(way: Way): void {
    if (way.timer !== null) return;
    const nowMs = performance.now();
    let due = 0;
    while (due < way.packets.length && way.packets[due].atMs <= nowMs) way.packets[due++].deliver();
    way.packets.splice(0, due);
    this.#held -= due;
    if (way.packets.length === 0) return;
    way.timer = setTimeout(() => {
      way.timer = null;
      this.#pump(way);
    }, way.packets[0].atMs - nowMs);
  }
}
