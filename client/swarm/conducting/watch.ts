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

/** Waits for what ends the work under one plan: all blocks done, somebody gone, trouble, a stall. The first one counts. */
export class Watch {
  readonly outcome: Promise<Outcome>;
  #resolve!: (outcome: Outcome) => void;
  #cancel: Cancel = () => undefined;
  #progressMs: number;
  readonly #done = new Set<PeerId>();

  constructor(
    private readonly clock: Clock,
    private readonly plan: Plan,
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

  #check(): void {
    const limitMs = LIMITS.run.stallMs + 5 * this.plan.predicted.stepMs;
    const idleMs = this.clock.now() - this.#progressMs;
    if (idleMs > limitMs) {
      this.happen({ kind: 'trouble', message: `nothing was finished for ${Math.round(idleMs / 1000)} s` });
    } else {
      this.#cancel = this.clock.after(1000, () => this.#check());
    }
  }
}
