import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { LaneEnd } from './assignment.ts';
import type { Patience } from './patience.ts';
import { Sender } from './sender.ts';

/** What has come of a part: which of how many packets, and when the first and the last of them. */
export interface Came {
  seen: ReadonlySet<number>;
  packets: number;
  startMs: number;
  lastMs: number;
}

export interface DeadlineContext {
  ends: readonly LaneEnd[];
  /** Null where every part is waited for. */
  patience: Patience | null;
  came(sequence: number, lane: number): Came | undefined;
  /** Micro-batches [first, end) of which parts may come now. */
  window: () => [first: number, end: number];
  /** Packets of a part are wanted once more (none are named: all of them). */
  onMissing(end: LaneEnd, sequence: number, packets: number[], attempt: number): void;
}

/**
 * How long the parts of one boundary and direction are waited for. A part's time begins with the first sign that it was sent: one of its
 * frames, a later part of its lane, a notice; where a lane gives no sign, with the part of another lane. Micro-batches are counted
 * through all steps.
 */
export class Deadlines {
  readonly #senders: ReadonlyMap<number, Sender>;
  /** Of parts done with lately, those that counted as lost: how late the last was that came of them, null where that says nothing. */
  readonly #lost = new Map<string, number | null>();
  /** By part: how often it was asked for again, and when last. */
  readonly #asked = new Map<string, { requests: number; atMs: number }>();
  /** By micro-batch: since when it is waited for although no lane gives a sign of it. */
  readonly #silentSinceMs = new Map<number, number>();

  constructor(private readonly context: DeadlineContext) {
    this.#senders = new Map(context.ends.map(({ lane, peer }) => [lane, new Sender(peer)]));
  }

  /** Parts of a lane have left up to this one. */
  advance(lane: number, sequence: number): void {
    const { patience, window } = this.context;
    if (!patience) return;
    const sender = this.#senders.get(lane)!;
    const [first, end] = window();
    const nowMs = patience.now();
    for (const news of sender.advance(sequence, nowMs, first - LIMITS.pipeline.lateParts, end)) {
      sender.behind.add(nowMs - (this.#signOfOthersMs(news, sender) ?? nowMs));
    }
    // At most one behind: whoever waits for it now has it in step.
    if (sequence >= first - 1) patience.note(sender.peer, false);
  }

  /** The same of the lane that is this block's own. */
  advanceOwn(lane: number, sequence: number): void {
    this.#senders.get(lane)!.isOwn = true;
    this.advance(lane, sequence);
  }

  /** True where nothing was heard yet of what a lane sends after a part. */
  isInOrder(lane: number, sequence: number): boolean {
    return this.#senders.get(lane)!.through <= sequence;
  }

  /** A lane sends only so many packets of a part. */
  sendsFewer(lane: number, sequence: number, packets: number): void {
    const [first, end] = this.context.window();
    if (sequence >= first && sequence < end) this.#senders.get(lane)!.sendsFewer(sequence, packets);
  }

  /** The packets that a lane sends of a part of so many. */
  packetsSent(lane: number, sequence: number, whole: number): number {
    return this.#senders.get(lane)!.packetsOf(sequence, whole);
  }

  /**
   * When the parts of a micro-batch are whole or count as lost, asked where it would be used now; Infinity where it is waited for
   * whatever happens.
   */
  dueMs(sequence: number): number {
    let dueMs = -Infinity;
    for (const { lane } of this.context.ends) dueMs = Math.max(dueMs, this.#dueMs(sequence, lane));
    return dueMs;
  }

  /** True where every lane but that of `self` has got as far as a micro-batch. */
  isPassed(sequence: number, self: PeerId): boolean {
    const others = [...this.#senders.values()].filter(({ peer }) => peer !== self);
    return others.length > 0 && others.every(({ through }) => through >= sequence);
  }

  /** Asks again for what should have come; gives when the next request is due, Infinity for never. */
  chase(): number {
    const { patience, ends, window } = this.context;
    let nextMs = Infinity;
    if (!patience || patience.requests === 0) return nextMs;
    const [first, last] = window();
    for (const end of ends) {
      const { through } = this.#senders.get(end.lane)!;
      for (let sequence = first; sequence <= Math.min(through, last - 1); sequence++)
        nextMs = Math.min(nextMs, this.#chase(sequence, end, patience));
    }
    return nextMs;
  }

  /** All of a part has come. */
  noteWhole(lane: number, sequence: number): void {
    const { patience } = this.context;
    if (!patience) return;
    const sender = this.#senders.get(lane)!;
    const signMs = sender.signMs(sequence);
    const asked = this.#asked.get(keyOf(sequence, lane));
    // After several requests nobody knows which of them was answered (Karn and Partridge, 1987).
    if (asked?.requests === 1) patience.repair(sender.peer).add(patience.now() - asked.atMs);
    if (!asked && signMs !== undefined) patience.link(sender.peer).add(patience.now() - signMs);
    if (!asked) this.#noteSpacing(sequence, lane, patience);
  }

  /** A frame of a part came after the micro-batch was done with: the first of one that counted as lost says how late it was. */
  noteLate(lane: number, sequence: number): void {
    if (this.#lost.delete(keyOf(sequence, lane))) this.noteWhole(lane, sequence);
  }

  /** A part counts as lost. */
  noteLost(lane: number, sequence: number): void {
    const { patience } = this.context;
    if (!patience) return;
    const sender = this.#senders.get(lane)!;
    const own = sender.signMs(sequence);
    const isAsked = this.#asked.has(keyOf(sequence, lane));
    const came = this.context.came(sequence, lane);
    this.#lost.set(keyOf(sequence, lane), came && own !== undefined && !isAsked ? came.lastMs - own : null);
    if (!isAsked) this.#noteSpacing(sequence, lane, patience);
    const othersMs = this.#signOfOthersMs(sequence, sender);
    const signMs = own ?? othersMs;
    const silentMs = this.#silentSinceMs.get(sequence);
    if (signMs === undefined && silentMs !== undefined) patience.waitedInSilence(silentMs);
    if (signMs !== undefined && sender.through - sequence < patience.inFlight) patience.waitedInVain(signMs);
    // What the step's cap cut short says nothing of the sender.
    const isWaitedFor =
      othersMs === undefined || patience.now() - othersMs >= this.#behindMs(sender, patience);
    if (sender.through < sequence && isWaitedFor) patience.note(sender.peer, true);
  }

  /** A micro-batch is done with. */
  close(sequence: number): void {
    this.#silentSinceMs.delete(sequence);
    for (const [lane, sender] of this.#senders) {
      sender.close(sequence);
      this.#asked.delete(keyOf(sequence, lane));
      this.#settle(sequence - LIMITS.pipeline.settledParts, lane);
      this.#lost.delete(keyOf(sequence - LIMITS.pipeline.lateParts, lane));
    }
  }

  /** Nothing more came of a part that counted as lost: what did come was all, and says how late parts are where hardly any is whole. */
  #settle(sequence: number, lane: number): void {
    const key = keyOf(sequence, lane);
    const lateMs = this.#lost.get(key) ?? null;
    if (lateMs === null) return;
    this.#lost.set(key, null);
    this.context.patience?.link(this.#senders.get(lane)!.peer).add(lateMs);
  }

  #noteSpacing(sequence: number, lane: number, patience: Patience): void {
    const came = this.context.came(sequence, lane);
    const packets = came?.seen.size ?? 0;
    if (came && packets > 1)
      patience.noteSpacing(this.#senders.get(lane)!.peer, (came.lastMs - came.startMs) / (packets - 1));
  }

  #dueMs(sequence: number, lane: number): number {
    const { patience } = this.context;
    if (this.#hasCome(sequence, lane)) return -Infinity;
    if (!patience || patience.rule === 'stall') return Infinity;
    const sender = this.#senders.get(lane)!;
    // Its sender has done without an answer to it.
    if (sender.through - sequence >= patience.inFlight) return -Infinity;
    const signMs = sender.signMs(sequence);
    if (signMs !== undefined) {
      const dueMs = patience.endMs(signMs, this.#deadlineMs(sequence, lane, signMs));
      return Math.min(dueMs, this.#graceEndMs(sequence, lane, patience));
    }
    // It was sent longer ago than is remembered.
    if (sender.through >= sequence) return -Infinity;
    const othersMs = this.#signOfOthersMs(sequence, sender);
    if (othersMs === undefined) {
      // Another lane was so far ahead that when it sent its part is not remembered: this block is late, and waits for nobody.
      if (this.#isAnyPast(sequence)) return -Infinity;
      return patience.silenceEndMs(this.#silentSince(sequence, patience));
    }
    if (patience.isAbsent(sender.peer) && (patience.rests(sender.peer) || this.#isHere(sequence, sender)))
      return -Infinity;
    return patience.endMs(othersMs, this.#behindMs(sender, patience));
  }

  /** How long a lane that gives no sign of a part is waited for, from another lane's sign. */
  #behindMs(sender: Sender, patience: Patience): number {
    return sender.behind.deadlineMs(patience.behindLeastMs(sender.peer));
  }

  /** Packets of a part leave together: where most of them are here and no more come, the rest is lost, if the link loses any. */
  #graceEndMs(sequence: number, lane: number, patience: Patience): number {
    const came = this.context.came(sequence, lane);
    const { peer } = this.#senders.get(lane)!;
    const expected = (came && this.packetsSent(lane, sequence, came.packets)) ?? 0;
    if (!came || came.seen.size < patience.mostOf(peer, expected)) return Infinity;
    return came.lastMs + patience.graceMs(peer);
  }

  #silentSince(sequence: number, patience: Patience): number {
    const sinceMs = this.#silentSinceMs.get(sequence) ?? patience.now();
    this.#silentSinceMs.set(sequence, sinceMs);
    return sinceMs;
  }

  /** How long after its sign a part counts as lost: after the last request for it. */
  #deadlineMs(sequence: number, lane: number, signMs: number): number {
    const patience = this.context.patience!;
    const { requests, atMs } = this.#asked.get(keyOf(sequence, lane)) ?? { requests: 0, atMs: signMs };
    if (requests < patience.requests) return Infinity;
    return atMs - signMs + patience.answerMs(this.#senders.get(lane)!.peer, requests);
  }

  #chase(sequence: number, end: LaneEnd, patience: Patience): number {
    const sender = this.#senders.get(end.lane)!;
    const signMs = sender.signMs(sequence);
    if (signMs === undefined || this.#hasCome(sequence, end.lane)) return Infinity;
    const key = keyOf(sequence, end.lane);
    const asked = this.#asked.get(key) ?? { requests: 0, atMs: signMs };
    if (asked.requests >= patience.requests) return Infinity;
    const dueMs = asked.atMs + patience.answerMs(sender.peer, asked.requests);
    const nowMs = patience.now();
    if (dueMs > nowMs) return dueMs;
    asked.requests++;
    asked.atMs = nowMs;
    this.#asked.set(key, asked);
    const missing = missingOf(this.context.came(sequence, end.lane));
    this.context.onMissing(end, sequence, missing, Math.min(asked.requests, ATTEMPT_MAX));
    return nowMs + patience.answerMs(sender.peer, asked.requests);
  }

  /** True where all of a part is here that its sender sends. */
  #hasCome(sequence: number, lane: number): boolean {
    const came = this.context.came(sequence, lane);
    const seen = came?.seen.size ?? 0;
    return this.packetsSent(lane, sequence, came?.packets ?? Infinity) <= seen;
  }

  /** True where a lane besides this block's own and that of `sender` has got as far as a micro-batch. */
  #isHere(sequence: number, sender: Sender): boolean {
    return [...this.#senders.values()].some(
      (other) => other !== sender && !other.isOwn && other.through >= sequence,
    );
  }

  #isAnyPast(sequence: number): boolean {
    return [...this.#senders.values()].some(({ through }) => through >= sequence);
  }

  #signOfOthersMs(sequence: number, sender: Sender): number | undefined {
    let first: number | undefined;
    for (const other of this.#senders.values()) {
      const signMs = other === sender ? undefined : other.signMs(sequence);
      if (signMs !== undefined && !(first !== undefined && first <= signMs)) first = signMs;
    }
    return first;
  }
}

/** What a frame's header can say. */
const ATTEMPT_MAX = 255;

function missingOf(came: Came | undefined): number[] {
  if (!came || came.seen.size === 0) return [];
  const missing: number[] = [];
  for (let i = 0; i < came.packets && missing.length < LIMITS.pipeline.packetsAsked; i++)
    if (!came.seen.has(i)) missing.push(i);
  return missing;
}

const keyOf = (sequence: number, lane: number): string => `${sequence}/${lane}`;
