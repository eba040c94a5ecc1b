import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { LinkSignal, Member } from '../../shared/schema/signal.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { Channel, Transport, TransportHandlers, TransportStats } from '../ports/transport.ts';
import { EarlyMessages } from './early-messages.ts';
import { addStats, newStats, type Link, type LinkOptions } from './link.ts';
import { Pair, type LinkState, type PairHost, type PairLimits } from './pair.ts';
import { PeerLink } from './peer-link.ts';
import { Refusals } from '../../shared/refusals.ts';
import { readLinkSignal } from './signal-check.ts';
import type { Signaling } from './signaling.ts';

export interface MeshOptions {
  signaling: Signaling;
  clock: Clock;
  random: Random;
  /** STUN and TURN servers; none are needed on one local network. */
  iceServers?: RTCIceServer[];
  limits?: Partial<PairLimits>;
  /** For tests: what stands in for a WebRTC link. */
  createLink?: (options: LinkOptions) => Link;
}

/** One other member, for the page. */
export interface RosterEntry {
  id: PeerId;
  name: string;
  link: LinkState;
  /** False where the signaling server lost this member although the link lives on. */
  present: boolean;
  /** Why the link is broken and what to do; empty otherwise. */
  note: string;
  /** Waiting in this peer's queues. */
  queuedBytes: number;
  stats: TransportStats;
}

/** Links to everybody in the room, over WebRTC. Whoever made `signaling` closes it. */
export class Mesh implements Transport {
  readonly self: PeerId;
  readonly refusals = new Refusals();
  readonly #signaling: Signaling;
  readonly #pairs = new Map<PeerId, Pair>();
  /** Attempt numbers of peers that left: if one returns, old signals stay fenced. */
  readonly #attempts = new Map<PeerId, number>();
  readonly #rosterListeners = new Set<(roster: RosterEntry[]) => void>();
  readonly #early: EarlyMessages;
  readonly #host: PairHost;
  #forgotten = newStats();
  #handlers: TransportHandlers | null = null;
  #closed = false;

  constructor(options: MeshOptions) {
    this.#signaling = options.signaling;
    this.self = options.signaling.self.id;
    this.#early = new EarlyMessages((peer) => this.refusals.add(peer, 'early-overflow'));
    this.#host = this.#hostOf(options);
    this.#signaling.listen({
      onRoster: (others) => this.#onRoster(others),
      onJoined: (member) => this.#onJoined(member),
      onLeft: (peer) => this.#onLeft(peer),
      onSignal: (from, data) => this.#onSignal(from, data),
    });
  }

  listen(handlers: TransportHandlers): void {
    this.#handlers = handlers;
    for (const peer of this.peers()) this.#handOver(peer);
  }

  peers(): PeerId[] {
    return [...this.#pairs.values()].filter((pair) => pair.state === 'open').map((pair) => pair.id);
  }

  send(to: PeerId, channel: Channel, bytes: Uint8Array): boolean {
    return this.#pairs.get(to)?.link?.send(channel, bytes) ?? false;
  }

  whenWritable(peer: PeerId): Promise<boolean> {
    return this.#pairs.get(peer)?.link?.whenWritable() ?? Promise.resolve(false);
  }

  heardAtMs(peer: PeerId): number {
    return this.#pairs.get(peer)?.link?.heardAtMs ?? -Infinity;
  }

  isSlow(peer: PeerId): boolean {
    return this.#pairs.get(peer)?.link?.isSlow ?? false;
  }

  stats(): TransportStats {
    return [...this.#pairs.values()].reduce((sum, pair) => addStats(sum, pair.stats), this.#forgotten);
  }

  /** Traffic with one peer since it was first seen, over all links to it. */
  linkStats(peer: PeerId): TransportStats {
    return { ...(this.#pairs.get(peer)?.stats ?? newStats()) };
  }

  /** Everybody in the room, this peer first. */
  members(): Member[] {
    return [this.#signaling.self, ...[...this.#pairs.values()].map((pair) => pair.member)];
  }

  /** The other members and their links. */
  roster(): RosterEntry[] {
    return [...this.#pairs.values()].map((pair) => ({
      id: pair.id,
      name: pair.member.name,
      link: pair.state,
      present: pair.present,
      note: pair.note,
      queuedBytes: pair.link?.queuedBytes ?? 0,
      stats: { ...pair.stats },
    }));
  }

  /** Calls `listener` now and whenever a member or the state of a link changes. */
  onRoster(listener: (roster: RosterEntry[]) => void): Cancel {
    this.#rosterListeners.add(listener);
    listener(this.roster());
    return () => void this.#rosterListeners.delete(listener);
  }

  /** Cuts the link to `peer`; it is rebuilt as after a failure. */
  dropLink(peer: PeerId): void {
    this.#pairs.get(peer)?.drop('the link was cut on this device');
  }

  close(): void {
    this.#closed = true;
    for (const pair of this.#pairs.values()) pair.close();
    this.#pairs.clear();
    this.#early.clear();
    this.#rosterListeners.clear();
  }

  #hostOf(options: MeshOptions): PairHost {
    return {
      self: this.self,
      clock: options.clock,
      random: options.random,
      limits: { ...LIMITS.link, ...options.limits },
      iceServers: options.iceServers ?? [],
      createLink: options.createLink ?? ((link) => new PeerLink(link)),
      sendSignal: (to, signal: LinkSignal) => this.#signaling.signal(to, JSON.stringify(signal)),
      opened: (pair) => this.#handOver(pair.id),
      closed: (pair, reason) => this.#handlers?.onClose(pair.id, reason),
      discard: (pair) => this.#early.drop(pair.id),
      message: (pair, channel, bytes) => {
        if (this.#handlers && pair.state === 'open') this.#handlers.onMessage(pair.id, channel, bytes);
        else this.#early.keep(pair.id, channel, bytes);
      },
      refused: (from, reason) => this.refusals.add(from, reason),
      changed: () => this.#changed(),
      forget: (pair) => this.#forget(pair),
    };
  }

  #handOver(peer: PeerId): void {
    if (!this.#handlers) return;
    this.#handlers.onOpen(peer);
    for (const { channel, bytes } of this.#early.take(peer)) this.#handlers.onMessage(peer, channel, bytes);
  }

  /** The one who joins starts all links; so does one who joined again, where a link was lost meanwhile. */
  #onRoster(others: Member[]): void {
    if (this.#closed) return;
    const here = new Set(others.map((member) => member.id));
    for (const pair of [...this.#pairs.values()]) if (!here.has(pair.id)) this.#onLeft(pair.id);
    for (const member of others) {
      const pair = this.#pairOf(member);
      if (pair && pair.state !== 'open') pair.connect();
    }
    this.#changed();
  }

  #onJoined(member: Member): void {
    if (this.#closed) return;
    this.#pairOf(member)?.expect();
    this.#changed();
  }

  #onLeft(peer: PeerId): void {
    const pair = this.#pairs.get(peer);
    if (!pair) return;
    pair.present = false;
    // A link that is open has its own proof of life: it may be the server that died.
    if (pair.state !== 'open') this.#forget(pair);
    this.#changed();
  }

  #onSignal(from: PeerId, data: string): void {
    if (this.#closed) return;
    const pair = this.#pairs.get(from);
    if (!pair) {
      this.refusals.add(from, 'signal-from-stranger');
      return;
    }
    const signal = readLinkSignal(data);
    if (typeof signal === 'string') this.refusals.add(from, signal);
    else pair.receive(signal);
  }

  #pairOf(member: Member): Pair | null {
    const known = this.#pairs.get(member.id);
    if (known) {
      known.member = member;
      known.present = true;
      return known;
    }
    // Twice the room: links of members that the server has lost live on beside new ones.
    if (member.id === this.self || this.#pairs.size >= 2 * LIMITS.room.peers) {
      this.refusals.add(member.id, member.id === this.self ? 'member-is-self' : 'member-beyond-room');
      return null;
    }
    const pair = new Pair(member, this.#attempts.get(member.id) ?? 0, this.#host);
    this.#pairs.set(member.id, pair);
    return pair;
  }

  #forget(pair: Pair): void {
    pair.close();
    if (!this.#pairs.delete(pair.id)) return;
    this.#forgotten = addStats(this.#forgotten, pair.stats);
    this.#attempts.delete(pair.id);
    this.#attempts.set(pair.id, pair.attempt);
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > LIMITS.link.peersRemembered) this.#attempts.delete(oldest);
    this.#changed();
  }

  #changed(): void {
    if (this.#rosterListeners.size === 0) return;
    const roster = this.roster();
    for (const listener of this.#rosterListeners) listener(roster);
  }
}
