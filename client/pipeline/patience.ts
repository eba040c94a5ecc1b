import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { LossRule } from '../../shared/schema/config.ts';
import { Lateness } from './lateness.ts';
import { LossShare, NO_LOSS, type Loss } from './redundancy.ts';
import { Budget } from './wait-budget.ts';

/** Weights of a new step, and of a new part, in the moving averages. */
const STEP_WEIGHT = 1 / 8;
const SPACING_WEIGHT = 1 / 8;

/** How long one block waits for parts: the rule, what was seen of each link, and what waiting was in vain in this step. */
export class Patience {
  readonly #links = new Map<PeerId, Lateness>();
  readonly #repairs = new Map<PeerId, Lateness>();
  readonly #losses = new Map<PeerId, LossShare>();
  /** Between packets of one part, on average. */
  readonly #spacingMs = new Map<PeerId, number>();
  /** What others say of the links to them. */
  readonly #told = new Map<PeerId, Loss>();
  /**
   * Peers that let a deadline pass without a sign; nobody waits for them until they have caught up, but whoever is ahead of everybody
   * does now and then: else blocks that lost each other would each race on alone, and their parts come too late for good.
   */
  readonly #absent = new Map<PeerId, { sinceMs: number; restMs: number }>();
  /** Waiting for what others' parts, or its own frames, say should come. */
  readonly #vain: Budget;
  /** Waiting for what nothing says a word of. */
  readonly #silence: Budget;

  #stepBeganMs: number;
  /** How long steps take lately. */
  #stepMs: number;

  /**
   * @param inFlight most micro-batches that any block may have under way: who is that far beyond a part has done without an answer to it
   * @param capMs most that is waited in vain in one step
   * @param resendMaxMs most between two requests for a part
   */
  constructor(
    readonly rule: LossRule,
    readonly inFlight: number,
    readonly capMs: number,
    readonly now: () => number,
    private readonly resendMaxMs: number = LIMITS.pipeline.resendMaxMs,
  ) {
    this.#vain = new Budget(capMs);
    this.#silence = new Budget(LIMITS.pipeline.silenceFactor * capMs);
    this.#stepMs = capMs;
    this.#stepBeganMs = now();
  }

  /** From the sign that a part was sent until all of it has come. */
  link(peer: PeerId): Lateness {
    let link = this.#links.get(peer);
    if (!link) this.#links.set(peer, (link = new Lateness(LIMITS.pipeline.deadlineFirstMs)));
    return link;
  }

  /** From a request to send a part again until all of it has come. */
  repair(peer: PeerId): Lateness {
    let repair = this.#repairs.get(peer);
    if (!repair) {
      repair = new Lateness(LIMITS.pipeline.resendFirstMs);
      this.#repairs.set(peer, repair);
    }
    return repair;
  }

  /** What a peer says that the link to it loses; nothing: next to nothing. */
  hearOfLoss(peer: PeerId, loss: Loss | undefined): void {
    this.#told.set(peer, loss ?? NO_LOSS);
  }

  /** What the link to a peer loses: what it says of that, or what is lost the other way if that is more, for it may not be heard. */
  lossTo(peer: PeerId): Loss {
    const own = this.lossOf(peer);
    const told = this.#told.get(peer) ?? NO_LOSS;
    return {
      share: Math.max(told.share, own.share),
      gone: Math.max(told.gone, own.gone),
      afterLoss: Math.max(told.afterLoss, own.afterLoss),
    };
  }

  isLossKnown(peer: PeerId): boolean {
    return this.#told.has(peer) || this.lossOf(peer).isKnown;
  }

  /** What the link from a peer loses. */
  lossOf(peer: PeerId): LossShare {
    let loss = this.#losses.get(peer);
    if (!loss) this.#losses.set(peer, (loss = new LossShare()));
    return loss;
  }

  /** What came of a part came so far apart, packet by packet. */
  noteSpacing(peer: PeerId, ms: number): void {
    const knownMs = this.#spacingMs.get(peer) ?? ms;
    this.#spacingMs.set(peer, knownMs + SPACING_WEIGHT * (ms - knownMs));
  }

  /** Of so many packets that are sent, what is most of those that the link lets through. */
  mostOf(peer: PeerId, packets: number): number {
    return (packets * (1 - this.lossOf(peer).gone)) / 2;
  }

  /** How long after the last packet of a part another may come: several times as long as usual; where links lose nothing, whenever it comes. */
  graceMs(peer: PeerId): number {
    const { graceLeastMs, graceSpacings, lossWorthCopies } = LIMITS.pipeline;
    if (this.rule !== 'deadline' || this.lossOf(peer).share < lossWorthCopies) return Infinity;
    return Math.max(graceLeastMs, graceSpacings * (this.#spacingMs.get(peer) ?? 0));
  }

  /** How often a part may be asked for again. */
  get requests(): number {
    return { deadline: 0, discard: 0, repair: LIMITS.pipeline.repairs, stall: Infinity }[this.rule];
  }

  /** How long to wait for a part, from its sign or from the last request for it. */
  answerMs(peer: PeerId, requests: number): number {
    if (requests === 0) return this.link(peer).deadlineMs();
    const backedOffMs = this.repair(peer).deadlineMs() * 2 ** Math.min(requests - 1, 8);
    return Math.min(this.resendMaxMs, backedOffMs);
  }

  /**
   * What a lane that gives no sign of a part is granted at least, where another lane's part is here. It may only be slower; where its link
   * loses parts, more likely none will come: half a step is what waiting may cost.
   */
  behindLeastMs(peer: PeerId): number {
    const { behindLeastMs, behindMostMs, lossWorthCopies } = LIMITS.pipeline;
    if (this.lossOf(peer).share < lossWorthCopies) return behindMostMs;
    return Math.min(behindMostMs, Math.max(behindLeastMs, this.#stepMs / 2));
  }

  isAbsent(peer: PeerId): boolean {
    return this.#absent.has(peer);
  }

  /** True for a while after it was found to be absent, longer each time. */
  rests(peer: PeerId): boolean {
    const absence = this.#absent.get(peer);
    return absence !== undefined && this.now() < absence.sinceMs + absence.restMs;
  }

  /** It let a deadline pass, or it has caught up. */
  note(peer: PeerId, isAbsent: boolean): void {
    if (!isAbsent) this.#absent.delete(peer);
    if (!isAbsent || this.rests(peer)) return;
    const { absentFirstMs, absentMostMs } = LIMITS.pipeline;
    const lastMs = this.#absent.get(peer)?.restMs;
    const restMs = lastMs === undefined ? absentFirstMs : Math.min(2 * lastMs, absentMostMs);
    this.#absent.set(peer, { sinceMs: this.now(), restMs });
  }

  /** When a wait that began then ends: no later than what is left of the step's cap allows. */
  endMs(startMs: number, deadlineMs: number): number {
    return this.#vain.endMs(startMs, deadlineMs);
  }

  /** A wait since `startMs` was in vain. */
  waitedInVain(startMs: number): void {
    this.#vain.spend(startMs, this.now());
  }

  /** When a wait without any sign ends that began then: notices, too, may come late beyond use. */
  silenceEndMs(startMs: number): number {
    return this.#silence.endMs(startMs, Infinity);
  }

  /** A wait without any sign since `startMs` was in vain. */
  waitedInSilence(startMs: number): void {
    this.#silence.spend(startMs, this.now());
  }

  beginStep(): void {
    const nowMs = this.now();
    this.#stepMs += STEP_WEIGHT * (nowMs - this.#stepBeganMs - this.#stepMs);
    this.#stepBeganMs = nowMs;
    this.#vain.renew();
    this.#silence.renew();
  }
}
