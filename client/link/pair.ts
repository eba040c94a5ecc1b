import type { PeerId } from '../../shared/ids.ts';
import type { LinkSignal, Member } from '../../shared/schema/signal.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import type { Random } from '../ports/random.ts';
import type { Channel } from '../ports/transport.ts';
import { newStats, type Link, type LinkLimits, type LinkOptions } from './link.ts';

/** `connecting`: an attempt is under way; `broken`: the last one failed, another will follow. */
export type LinkState = 'connecting' | 'open' | 'broken';

export interface PairLimits extends LinkLimits {
  rebuildAttempts: number;
  rebuildBackoffMs: number;
  rebuildBackoffMaxMs: number;
  rebuildSlowMs: number;
  rebuildPatienceMs: number;
  attemptJump: number;
}

/** What a pair needs from the mesh. */
export interface PairHost {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: PairLimits;
  readonly iceServers: RTCIceServer[];
  createLink(options: LinkOptions): Link;
  sendSignal(to: PeerId, signal: LinkSignal): boolean;
  opened(pair: Pair): void;
  closed(pair: Pair, reason: string): void;
  /** Whatever came over the pair's last link and was not taken is void. */
  discard(pair: Pair): void;
  message(pair: Pair, channel: Channel, bytes: Uint8Array): void;
  refused(from: PeerId, reason: string): void;
  /** The state, the note or the name changed. */
  changed(): void;
  /** Left and without a link. */
  forget(pair: Pair): void;
}

/**
 * This peer and one other: the link between them, rebuilt whenever it fails.
 * Each attempt has a number, higher than those before it; a signal of any but the newest attempt is ignored. Both sides
 * may start one (the smaller id first); where both start the same number, the smaller id's offer stands.
 */
export class Pair {
  member: Member;
  /** What the signaling server last said; a link may outlive it. */
  present = true;
  state: LinkState = 'connecting';
  /** Why the link is broken, for people; empty otherwise. */
  note = '';
  readonly stats = newStats();
  readonly #host: PairHost;
  #attempt: number;
  #initiator = false;
  #link: Link | null = null;
  #failures = 0;
  #openedAt = 0;
  #cancelRetry: Cancel | null = null;
  #ended = false;

  constructor(member: Member, attempt: number, host: PairHost) {
    this.member = member;
    this.#attempt = attempt;
    this.#host = host;
  }

  get id(): PeerId {
    return this.member.id;
  }

  get attempt(): number {
    return this.#attempt;
  }

  get link(): Link | null {
    return this.#link;
  }

  /** Starts an attempt now. */
  connect(): void {
    this.#begin(true, this.#attempt + 1);
  }

  /** The other side is to start; if nothing comes, this side does. */
  expect(): void {
    if (this.state !== 'open' && !this.#link && !this.#cancelRetry)
      this.#retryAfter(this.#host.limits.rebuildPatienceMs);
  }

  receive({ attempt, signal }: LinkSignal): void {
    if (signal.type === 'offer') this.#offered(attempt, signal);
    else if (attempt === this.#attempt && this.#link) this.#link.signal(signal);
    else this.#host.refused(this.id, 'signal-stale');
  }

  /** Cuts the link as if the network had; it is rebuilt. */
  drop(reason: string): void {
    this.#lost(reason);
  }

  close(): void {
    this.#ended = true;
    this.#release();
  }

  #release(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = null;
    this.#link?.close();
    this.#link = null;
    this.state = 'broken';
    this.#host.discard(this);
  }

  #offered(attempt: number, signal: LinkSignal['signal']): void {
    const ahead = attempt - this.#attempt;
    if (ahead < 0) {
      this.#host.refused(this.id, 'signal-stale');
      return;
    }
    if (ahead > this.#host.limits.attemptJump) {
      this.#host.refused(this.id, 'attempt-jump');
      return;
    }
    if (ahead === 0 && this.#link) {
      if (!this.#initiator || this.#link.open) {
        this.#host.refused(this.id, 'description-unexpected');
        return;
      }
      if (this.#host.self < this.id) return;
    }
    this.#begin(false, attempt);
    this.#link?.signal(signal);
  }

  #begin(initiator: boolean, attempt: number): void {
    const wasOpen = this.state === 'open';
    this.#release();
    this.state = 'connecting';
    this.note = '';
    this.#initiator = initiator;
    this.#attempt = attempt;
    if (wasOpen) this.#host.closed(this, 'the other side started a new link');
    if (this.#ended) return;
    const { clock, limits, iceServers } = this.#host;
    const link = this.#host.createLink({
      initiator,
      iceServers,
      clock,
      limits,
      stats: this.stats,
      events: {
        onSignal: (signal) => {
          const needed = signal.type === 'offer' || signal.type === 'answer';
          if (!this.#host.sendSignal(this.id, { attempt, signal }) && needed) {
            this.#lost(
              'the signaling server cannot be reached, and a new link needs it: is it still running?',
            );
          }
        },
        onOpen: () => this.#opened(),
        onClose: (reason) => this.#lost(reason),
        onMessage: (channel, bytes) => this.#host.message(this, channel, bytes),
        onRefused: (reason) => this.#host.refused(this.id, reason),
      },
    });
    this.#link = link;
    this.#host.changed();
  }

  #opened(): void {
    this.state = 'open';
    this.#openedAt = this.#host.clock.now();
    this.#host.opened(this);
    this.#host.changed();
  }

  #lost(reason: string): void {
    const wasOpen = this.state === 'open';
    this.#release();
    this.note = reason;
    const { clock, limits } = this.#host;
    const steady = wasOpen && clock.now() - this.#openedAt > limits.rebuildBackoffMaxMs;
    this.#failures = steady ? 1 : this.#failures + 1;
    if (this.present) this.#retryAfter(this.#backoff());
    if (wasOpen) this.#host.closed(this, reason);
    this.#host.changed();
    if (!this.present && !this.#link) this.#host.forget(this);
  }

  #backoff(): number {
    const { random, limits } = this.#host;
    const quick = Math.min(limits.rebuildBackoffMs * 2 ** (this.#failures - 1), limits.rebuildBackoffMaxMs);
    const wait = this.#failures > limits.rebuildAttempts ? limits.rebuildSlowMs : quick;
    const patience = this.#host.self < this.id ? 0 : limits.rebuildPatienceMs;
    return wait * (0.75 + 0.5 * random.next()) + patience;
  }

  #retryAfter(delayMs: number): void {
    this.#cancelRetry?.();
    this.#cancelRetry = this.#host.clock.after(delayMs, () => {
      this.#cancelRetry = null;
      this.connect();
    });
  }
}
