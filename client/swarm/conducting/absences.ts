import type { PeerId } from '../../../shared/ids.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { holdersOf } from '../../partition/stages.ts';
import { headsOf } from '../../pipeline/assignment.ts';
import type { CoordinatorContext } from './office.ts';
import type { Departure } from './mending.ts';

/** Holders of blocks that are not heard, while the others train on as if only their parts were lost. */
export class Absences {
  readonly #away = new Map<PeerId, Departure>();

  constructor(private readonly context: Pick<CoordinatorContext, 'alive' | 'record'>) {}

  /** True where it may come back, the run counts late parts as lost, and each stage has a lane left that is here. */
  add(plan: Plan, departure: Departure): boolean {
    const { peer, reason } = departure;
    const { config, phase } = this.context.record;
    if (reason === 'left' || config?.rule !== 'deadline' || phase !== 'training') return false;
    const here = new Set(this.context.alive());
    const { stages } = plan;
    const isNeeded =
      !headsOf(plan, config).some((head) => here.has(head)) ||
      !stages.every(({ lanes }) => lanes.some((lane) => here.has(lane)));
    if (!holdersOf(stages).includes(peer) || isNeeded) return false;
    this.#away.set(peer, departure);
    return true;
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
}
