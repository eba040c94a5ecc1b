import type { RoomSnapshot } from '../room.ts';

/** Plans anew when a run reaches certain steps. */
export class Replans {
  /** Steps that are still to come, ascending. */
  due: readonly number[];

  /** `replan` gives why the room makes no new plan; null where it does. */
  constructor(
    steps: readonly number[],
    private readonly replan: () => Promise<string | null>,
  ) {
    this.due = steps;
  }

  /** Asks for a plan where one is due; one that is refused is asked for again at the next look. */
  async look({ phase, stepsDone }: Pick<RoomSnapshot['run'], 'phase' | 'stepsDone'>): Promise<void> {
    if (phase !== 'training' || this.due.length === 0 || stepsDone < this.due[0]) return;
    if ((await this.replan()) === null) this.due = this.due.filter((step) => step > stepsDone);
  }
}
