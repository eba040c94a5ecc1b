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
  /** The longest time without a message since the last heartbeat. */
  gapMs: number;
  /** Such times lately, and what of them the link is to blame for: not the other device, nor this one. */
  gaps: Gaps;
  linkGaps: Gaps;
  /** The last heartbeat of the other side, to be echoed, and when it was sent by the clock over there. */
  count: number | null;
  countAtMs: number;
  sentAtMs: number;
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
  /** How late the last round of heartbeats was. */
  #lateMs = 0;
  #cancel: Cancel;
  /** Of the look at whose silence ends between two rounds. */
  #cancelLook: Cancel = () => undefined;

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
    const { gapsKept } = LIMITS.liveness;
    const { gaps, linkGaps } = this.#heard.get(peer) ?? {
      gaps: new Gaps(gapsKept),
      linkGaps: new Gaps(gapsKept),
    };
    const atMs = this.clock.now();
    this.#heard.set(peer, { atMs, gapMs: 0, gaps, linkGaps, count: null, countAtMs: 0, sentAtMs: 0 });
    if (!known) this.events.onAlive(peer);
  }

  /** Anything arrived from `peer`. */
  heard(peer: PeerId): void {
    const heard = this.#heard.get(peer);
    if (!heard) return;
    const now = this.clock.now();
    heard.gapMs = Math.max(heard.gapMs, now - heard.atMs);
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
    this.#noteGap(heard, message.sentAtMs, now);
    heard.count = message.count;
    heard.countAtMs = now;
    heard.sentAtMs = message.sentAtMs;
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
    this.#cancelLook();
  }

  #beat(): void {
    const now = this.clock.now();
    this.#lateMs = this.#overdueMs(now);
    const slept = this.#lateMs > LIMITS.liveness.clockJumpMs;
    this.#lastBeatMs = now;
    for (const heard of this.#heard.values()) {
      heard.gaps.turn();
      heard.linkGaps.turn();
      if (slept) heard.atMs = now;
    }
    this.#look(now);
    this.#sendHeartbeats(now);
    this.#cancel = this.clock.after(LIMITS.liveness.heartbeatMs, () => this.#beat());
    this.events.onBeat();
  }

  /** Who is silent is gone; where a silence would end before the next round, that is looked at then. */
  #look(now: number): void {
    this.#cancelLook();
    let nextMs: number = LIMITS.liveness.heartbeatMs;
    for (const [peer, heard] of this.#heard) {
      const leftMs = this.#silenceLeftMs(peer, heard, now);
      if (leftMs < 0) this.#remove(peer, 'silent');
      else nextMs = Math.min(nextMs, leftMs + 1);
    }
    if (nextMs < LIMITS.liveness.heartbeatMs) {
      this.#cancelLook = this.clock.after(nextMs, () => {
        const laterMs = this.clock.now();
        if (this.#overdueMs(laterMs) <= LIMITS.liveness.clockJumpMs) this.#look(laterMs);
      });
    }
  }

  #overdueMs(now: number): number {
    return Math.max(0, now - this.#lastBeatMs - LIMITS.liveness.heartbeatMs);
  }

  /** A heartbeat that was under way for longer than the one before it, and not because this device was busy, says that its link has gaps. */
  #noteGap(heard: Heard, sentAtMs: number, now: number): void {
    if (heard.count !== null) {
      const longerMs = now - heard.countAtMs - (sentAtMs - heard.sentAtMs);
      const ownMs = Math.max(this.#lateMs, this.#overdueMs(now));
      heard.linkGaps.add(Math.min(heard.gapMs, longerMs - ownMs + LIMITS.liveness.heartbeatMs));
    }
    heard.gapMs = 0;
  }

  /** For how long a peer may still be silent; negative where it was for too long. */
  #silenceLeftMs(peer: PeerId, { atMs, gaps, linkGaps }: Heard, now: number): number {
    const { silenceMs, silenceLossyMs, gapFactor, linkGapFactor } = LIMITS.liveness;
    // SCTP waits twice as long after each loss in a row: a link is used to gaps, and to longer ones after long ones.
    const grantedMs = Math.max(silenceMs, linkGapFactor * linkGaps.longestMs, gapFactor * gaps.longestMs);
    const usualMs = Math.min(silenceLossyMs, grantedMs);
    const endMs = Math.max(atMs, this.packetAtMs(peer)) + usualMs;
    return Math.min(endMs, atMs + silenceLossyMs) - now;
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
