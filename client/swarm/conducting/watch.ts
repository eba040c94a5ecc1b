import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { holdersOf } from '../../partition/stages.ts';
import type { Cancel, Clock } from '../../ports/clock.ts';

/** Why work under a plan ended. */
export type Outcome =
  | { kind: 'done' }
  | { kind: 'departed' }
  | { kind: 'stop' }
  /** `isAsked`: by a person, who wants everything to be measured again. */
  | { kind: 'replan'; isAsked: boolean }
  | { kind: 'fenced' }
  | { kind: 'trouble'; message: string }
  | { kind: 'fatal'; message: string };

const CHECK_MS = 500;

/** How long nothing may be finished. */
export interface WatchLimits {
  stallMs: number;
  /** The same while somebody is away. */
  awayStallMs: number;
  /** Hears now and then how long nothing was finished. */
  onIdle?: (idleMs: number) => void;
}

/** Of training: what an emulated device needs comes on top. */
export const trainingLimits = ({ predicted: { stepMs } }: Plan): WatchLimits => ({
  stallMs: LIMITS.run.stallMs + 5 * stepMs,
  awayStallMs: LIMITS.liveness.awayStallMs + 3 * stepMs,
});

/** Waits for what ends the work under one plan: all blocks done, somebody gone, trouble, a stall. The first one counts. */
export class Watch {
  readonly outcome: Promise<Outcome>;
  #resolve!: (outcome: Outcome) => void;
  #cancel: Cancel = () => undefined;
  #progressMs: number;
  readonly #done = new Set<PeerId>();
  /** Since when holders of blocks that the others can do without are away. */
  readonly #awaySinceMs = new Map<PeerId, number>();

  constructor(
    private readonly clock: Clock,
    private readonly plan: Plan,
    private readonly limits: WatchLimits = trainingLimits(plan),
  ) {
    this.outcome = new Promise((resolve) => (this.#resolve = resolve));
    this.#progressMs = clock.now();
    this.#check();
  }

  happen(outcome: Outcome): void {
    this.#cancel();
    this.#resolve(outcome);
  }

  progressed(): void {
    this.#progressMs = this.clock.now();
  }

  blockDone(peer: PeerId): void {
    this.progressed();
    this.#done.add(peer);
    if (holdersOf(this.plan.stages).every((holder) => this.#done.has(holder))) this.happen({ kind: 'done' });
  }

  /** A holder is not heard any more; work goes on as long as steps do, for a while. */
  away(peer: PeerId): void {
    this.#awaySinceMs.set(peer, this.clock.now());
  }

  back(peer: PeerId): void {
    this.#awaySinceMs.delete(peer);
  }

  #check(): void {
    const nowMs = this.clock.now();
    const idleMs = nowMs - this.#progressMs;
    if (this.#isMissed(nowMs, idleMs)) this.happen({ kind: 'departed' });
    else if (idleMs > this.limits.stallMs)
      this.happen({ kind: 'trouble', message: `nothing was finished for ${Math.round(idleMs / 1000)} s` });
    else {
      this.limits.onIdle?.(idleMs);
      this.#cancel = this.clock.after(CHECK_MS, () => this.#check());
    }
  }

  /** True where somebody is away, and too long, or the others do not get on without. */
  #isMissed(nowMs: number, idleMs: number): boolean {
    const since = [...this.#awaySinceMs.values()];
    if (since.length === 0) return false;
    return nowMs - Math.min(...since) > LIMITS.liveness.awayMs || idleMs > this.limits.awayStallMs;
  }
}
