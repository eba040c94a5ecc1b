import type { CostModel, Tail } from './cost-model.ts';
import type { Crew } from './crew.ts';
import type { CrewSource, Shape } from './search.ts';

/** Every set of the devices that are free: for small rooms. `used` has one bit for each device. */
export class AnyCrew implements CrewSource {
  readonly #known = new Map<number, { crew: Crew; used: number }[]>();

  constructor(private readonly model: CostModel) {}

  next(used: number, shape: Shape, stagesLeft: number): readonly { crew: Crew; used: number }[] {
    const key = used * 16 + stagesLeft;
    let crews = this.#known.get(key);
    if (!crews) this.#known.set(key, (crews = this.#crews(used, shape, stagesLeft)));
    return crews;
  }

  #crews(used: number, { lanesMin, lanesMax }: Shape, stagesLeft: number): { crew: Crew; used: number }[] {
    const { workers } = this.model.problem;
    const free = workers.map((_, i) => i).filter((i) => !(used & (1 << i)));
    const most = Math.min(lanesMax, free.length - stagesLeft * lanesMin);
    return subsets(free)
      .filter(({ length }) => length >= lanesMin && length <= most)
      .map((lanes) => ({
        crew: this.model.crews.of(lanes),
        used: lanes.reduce((bits, lane) => bits | (1 << lane), used),
      }));
  }

  speedLeft(used: number): number {
    return this.model.problem.workers.reduce((sum, { speed }, i) => (used & (1 << i) ? sum : sum + speed), 0);
  }
}

/** Runs of a given order of devices, `bundle` devices at a time: for large rooms. `used` counts bundles. */
export class CrewsInOrder implements CrewSource {
  readonly #known = new Map<number, { crew: Crew; used: number }[]>();

  constructor(
    private readonly model: CostModel,
    private readonly order: readonly number[],
    private readonly bundle = 1,
  ) {}

  next(used: number, shape: Shape, stagesLeft: number): readonly { crew: Crew; used: number }[] {
    const key = used * 1024 + stagesLeft;
    let crews = this.#known.get(key);
    if (!crews) this.#known.set(key, (crews = this.#crews(used, shape, stagesLeft)));
    return crews;
  }

  #crews(used: number, { lanesMin, lanesMax }: Shape, stagesLeft: number): { crew: Crew; used: number }[] {
    const { order, bundle } = this;
    const from = used * bundle;
    const most = Math.min(lanesMax, order.length - from - stagesLeft * lanesMin);
    const found: { crew: Crew; used: number }[] = [];
    for (let count = 1; count * bundle <= most; count++) {
      if (count * bundle < lanesMin) continue;
      const lanes = order.slice(from, from + count * bundle).sort((a, b) => a - b);
      found.push({ crew: this.model.crews.of(lanes), used: used + count });
    }
    return found;
  }

  speedLeft(used: number): number {
    const { order, bundle, model } = this;
    let speed = 0;
    for (let i = used * bundle; i < order.length; i++) speed += model.problem.workers[order[i]].speed;
    return speed;
  }
}

/** Given crews in their places, from samples to loss: only cuts are open. `used` counts stages. */
export class SameCrews implements CrewSource {
  readonly #crews: readonly Crew[];

  constructor(model: CostModel, groups: readonly (readonly number[])[]) {
    this.#crews = groups.map((lanes) => model.crews.of(lanes)).reverse();
  }

  next(used: number): { crew: Crew; used: number }[] {
    return [{ crew: this.#crews[used], used: used + 1 }];
  }

  speedLeft(used: number): number {
    return this.#crews.slice(used).reduce((sum, { speed }) => sum + speed, 0);
  }
}

/** Workers of each stage, from samples to loss. */
export function crewsOf(tail: Tail): (readonly number[])[] {
  const groups: (readonly number[])[] = [];
  for (let at: Tail | null = tail; at; at = at.next) groups.push(at.crew.lanes);
  return groups;
}

function subsets(items: readonly number[]): number[][] {
  let found: number[][] = [[]];
  for (const item of items) found = [...found, ...found.map((set) => [...set, item])];
  return found;
}
