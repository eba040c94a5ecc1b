import type { PeerId } from '../../../shared/ids.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { holdersOf } from '../../partition/stages.ts';
import { headsOf } from '../../pipeline/assignment.ts';
import type { CoordinatorContext } from './office.ts';
import type { Departure } from './mending.ts';

/** Holders of blocks that are not heard, while the others go on: they train as if only its parts were lost, and a test waits for it. */
export class Absences {
  readonly #away = new Map<PeerId, Departure>();

  constructor(private readonly context: Pick<CoordinatorContext, 'alive' | 'record'>) {}

  /** True where it may come back, the run counts late parts as lost, and, while it trains, each stage has a lane left that is here. */
  add(plan: Plan, departure: Departure, isTest: boolean): boolean {
    const { peer, reason } = departure;
    const { config, toldPhase } = this.context.record;
    if (reason === 'left' || config?.rule !== 'deadline' || !holdersOf(plan.stages).includes(peer))
      return false;
    if (!isTest && (toldPhase !== 'training' || !this.#isEnoughHere(plan))) return false;
    this.#away.set(peer, departure);
    return true;
  }

  get peers(): PeerId[] {
    return [...this.#away.keys()];
  }

  /** False where it was not away. */
  end(peer: PeerId): boolean {
    return this.#away.delete(peer);
  }

  /** Nobody is waited for any more: those who still are away. */
  take(): Departure[] {
    const left = [...this.#away.values()];
    this.#away.clear();
    return left;
  }

  #isEnoughHere(plan: Plan): boolean {
    const here = new Set(this.context.alive());
    return (
      headsOf(plan, this.context.record.config!).some((head) => here.has(head)) &&
      plan.stages.every(({ lanes }) => lanes.some((lane) => here.has(lane)))
    );
  }
}
