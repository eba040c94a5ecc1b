/** A peer whose link is dropped when the room reaches a step, and healed some seconds later. */
export interface Cut {
  /** Null: whoever coordinates by then. */
  peer: number | null;
  step: number;
  seconds: number;
}

/** What can be done to a peer's link. */
export interface Wire {
  cut(peer: number): void;
  heal(peer: number): void;
}

/** Messages that each other peer got from the one that was cut, by the other's number; those that are not linked are left out. */
export type Heard = ReadonlyMap<number, number>;

/** What became of a cut; times on the clock that it was given. */
export interface CutRecord extends Cut {
  peer: number;
  cutAtMs: number;
  /** The step that the room had reached then. */
  cutAtStep: number;
  healedAtMs: number | null;
  /** When each other peer first heard from it again, by the other's number. */
  heardAgainMs: Map<number, number>;
}

export interface CutPorts {
  wire: Wire;
  /** The peers besides that one. */
  others(peer: number): number[];
  hear(peer: number): Promise<Heard>;
  now(): number;
  say(message: string): void;
}

/** Cuts links and heals them as the run goes on, and notes when they are in use again. */
export class Cuts {
  readonly records: CutRecord[] = [];
  readonly #due: Cut[];
  /** What was heard at the time of healing. */
  readonly #before = new Map<CutRecord, Heard>();

  constructor(
    cuts: readonly Cut[],
    private readonly lab: CutPorts,
  ) {
    this.#due = [...cuts].sort((a, b) => a.step - b.step);
  }

  /** To be called again and again while the room trains, with the number of the peer that coordinates, where there is one. */
  async look(stepsDone: number, coordinator: number | null): Promise<void> {
    while (this.#due.length > 0 && stepsDone >= this.#due[0].step) {
      const peer = this.#due[0].peer ?? coordinator;
      if (peer === null) break;
      this.#cut({ ...this.#due.shift()!, peer }, stepsDone);
    }
    for (const record of this.records) {
      if (record.healedAtMs === null) await this.#healWhenDue(record);
      else if (record.heardAgainMs.size < this.lab.others(record.peer).length)
        await this.#listen(record, this.#before.get(record)!);
    }
  }

  #cut(cut: Cut & { peer: number }, stepsDone: number): void {
    this.lab.wire.cut(cut.peer);
    this.lab.say(`The link of peer ${cut.peer} is cut for ${cut.seconds} s.`);
    const cutAtMs = this.lab.now();
    this.records.push({
      ...cut,
      cutAtMs,
      cutAtStep: stepsDone,
      healedAtMs: null,
      heardAgainMs: new Map(),
    });
  }

  async #healWhenDue(record: CutRecord): Promise<void> {
    const { peer, seconds, cutAtMs } = record;
    if (this.lab.now() < cutAtMs + 1000 * seconds) return;
    this.#before.set(record, await this.lab.hear(peer));
    this.lab.wire.heal(peer);
    record.healedAtMs = this.lab.now();
    this.lab.say(`The link of peer ${peer} is healed.`);
  }

  async #listen({ peer, healedAtMs, heardAgainMs }: CutRecord, before: Heard): Promise<void> {
    for (const [other, messages] of await this.lab.hear(peer)) {
      if (heardAgainMs.has(other) || messages <= (before.get(other) ?? 0)) continue;
      heardAgainMs.set(other, this.lab.now());
      const seconds = (this.lab.now() - healedAtMs!) / 1000;
      this.lab.say(`Peer ${other} hears peer ${peer} again, ${seconds.toFixed(1)} s after it was healed.`);
    }
  }
}
