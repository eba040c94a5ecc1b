import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { Control, ControlOf } from '../../../shared/schema/control.ts';
import type { Term } from '../../../shared/schema/plan.ts';
import type { Cancel, Clock } from '../../ports/clock.ts';
import type { ClockOffsets } from './clock-offsets.ts';
import type { LinkTable } from './link-table.ts';
import { Gaps } from './gaps.ts';
import type { Departure } from '../conducting/mending.ts';

interface Heard {
  /** The last message of any kind. */
  atMs: number;
  gaps: Gaps;
  /** The last heartbeat of the other side, to be echoed. */
  count: number | null;
  countAtMs: number;
}

export interface LivenessEvents {
  onAlive(peer: PeerId): void;
  onGone(peer: PeerId, reason: Departure['reason']): void;
  /** After each round of heartbeats. */
  onBeat(): void;
}

/**
 * Who is here, judged by this engine's own heartbeats (a closed tab or a killed browser raises no event in time). A device
 * whose own timer came late was asleep: it judges nobody by that silence.
 */
export class Liveness {
  readonly #heard = new Map<PeerId, Heard>();
  readonly #sentAtMs = new Map<number, number>();
  #count = 0;
  #lastBeatMs: number;
  #cancel: Cancel;

  constructor(
    private readonly clock: Clock,
    private readonly table: LinkTable,
    private readonly clocks: ClockOffsets,
    private readonly linked: () => PeerId[],
    private readonly send: (to: PeerId, message: Control) => void,
    private readonly term: () => Term | null,
    /** It said hello over the link that it speaks on. */
    private readonly isIntroduced: (peer: PeerId) => boolean,
    /** When its link last showed that anything comes, be it no message. */
    private readonly packetAtMs: (peer: PeerId) => number,
    private readonly events: LivenessEvents,
  ) {
    this.#lastBeatMs = clock.now();
    this.#cancel = clock.after(LIMITS.liveness.heartbeatMs, () => this.#beat());
  }

  /** The other peers that are here. */
  alive(): PeerId[] {
    return [...this.#heard.keys()].sort();
  }

  /** A peer introduced itself over a new link. */
  greet(peer: PeerId): void {
    const known = this.#heard.has(peer);
    const gaps = this.#heard.get(peer)?.gaps ?? new Gaps(LIMITS.liveness.gapsKept);
    this.#heard.set(peer, { atMs: this.clock.now(), gaps, count: null, countAtMs: 0 });
    if (!known) this.events.onAlive(peer);
  }

  /** Anything arrived from `peer`. */
  heard(peer: PeerId): void {
    const heard = this.#heard.get(peer);
    if (!heard) return;
    const now = this.clock.now();
    heard.gaps.add(now - heard.atMs);
    heard.atMs = now;
  }

  heartbeat(peer: PeerId, message: ControlOf<'heartbeat'>): void {
    // It was thought gone, but was only silent: its device slept or was starved.
    if (!this.#heard.has(peer) && this.isIntroduced(peer)) this.greet(peer);
    const heard = this.#heard.get(peer);
    if (!heard) return;
    const now = this.clock.now();
    if (message.echo) {
      const sentAt = this.#sentAtMs.get(message.echo.count);
      if (sentAt !== undefined) {
        const rttMs = Math.max(0, now - sentAt - message.echo.heldMs);
        this.table.sampleRtt(peer, rttMs);
        this.clocks.sample(peer, message.sentAtMs, now, rttMs);
      }
    }
    if (heard.count !== null) this.table.sampleArrival(peer, Math.max(0, message.count - heard.count - 1));
    heard.count = message.count;
    heard.countAtMs = now;
    this.table.setRow(peer, message.row);
  }

  left(peer: PeerId): void {
    this.#remove(peer, 'left');
  }

  /** Its link broke: what was on its way is lost, so whatever waits for it must know. */
  unlinked(peer: PeerId): void {
    this.#remove(peer, 'unlinked');
  }

  close(): void {
    this.#cancel();
  }

  #beat(): void {
    const now = this.clock.now();
    const slept = now - this.#lastBeatMs > LIMITS.liveness.heartbeatMs + LIMITS.liveness.clockJumpMs;
    this.#lastBeatMs = now;
    for (const [peer, heard] of this.#heard) {
      heard.gaps.turn();
      if (slept) heard.atMs = now;
      else if (this.#isSilent(peer, heard, now)) this.#remove(peer, 'silent');
    }
    this.#sendHeartbeats(now);
    this.#cancel = this.clock.after(LIMITS.liveness.heartbeatMs, () => this.#beat());
    this.events.onBeat();
  }

  #isSilent(peer: PeerId, { atMs, gaps }: Heard, now: number): boolean {
    const { silenceMs, silenceLossyMs, gapFactor } = LIMITS.liveness;
    // SCTP waits twice as long after each loss in a row: a link is used to gaps, and to longer ones after long ones.
    const usualMs = Math.min(silenceLossyMs, Math.max(silenceMs, gapFactor * gaps.longestMs));
    if (now - atMs <= usualMs) return false;
    return now - atMs > silenceLossyMs || now - this.packetAtMs(peer) > usualMs;
  }

  #sendHeartbeats(now: number): void {
    this.#count++;
    this.#sentAtMs.set(this.#count, now);
    this.#sentAtMs.delete(this.#count - 50);
    const row = this.table.ownRow(this.alive());
    for (const peer of this.linked()) {
      const heard = this.#heard.get(peer);
      const echo = heard?.count != null ? { count: heard.count, heldMs: now - heard.countAtMs } : null;
      const beat = { count: this.#count, sentAtMs: now, echo };
      this.send(peer, { type: 'heartbeat', ...beat, term: this.term(), row });
    }
  }

  #remove(peer: PeerId, reason: Departure['reason']): void {
    if (!this.#heard.delete(peer)) return;
    this.table.forget(peer);
    this.clocks.forget(peer);
    this.events.onGone(peer, reason);
  }
}
