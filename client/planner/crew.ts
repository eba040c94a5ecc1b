import { countsBy } from '../partition/stages.ts';
import type { Problem } from './profile.ts';

/** Workers side by side as the lanes of one stage, best first, and how they share units. */
export interface Crew {
  /** Unique among the crews of one search. */
  id: number;
  /** Workers by rank; the first is the owner. */
  lanes: readonly number[];
  shares: readonly number[];
  /** Where each lane's share begins, from 0, and the last one's ends. */
  readonly starts: readonly number[];
  /** How as many units as the class has (`unitCounts`) are cut over the lanes, and what share of them each has. */
  cutsOf(unitClass: number): readonly number[];
  fractionsOf(unitClass: number): readonly number[];
  /** What share of their importance. */
  importanceOf(unitClass: number): readonly number[];
  /** Sum of its workers' speeds. */
  speed: number;
  readonly amongAll: CrewLinks;
  readonly withOwner: CrewLinks;
}

/** How parts travel between lanes: the slowest way, and all ways together. */
export interface CrewLinks {
  latencyMs: number;
  /** Milliseconds per byte of a tensor of which each lane sends (or gets) its share. */
  shareMsPerByte: number;
  shareTrafficMs: number;
  /** The same where all of it goes to each. */
  wholeMsPerByte: number;
  wholeTrafficMs: number;
}

/** Rooms up to this size name a crew by one bit for each worker. */
const BITS = 30;

function bitsOf(lanes: readonly number[]): number {
  let bits = 0;
  for (const lane of lanes) bits |= 1 << lane;
  return bits;
}

/** Makes crews and remembers them: a search asks for the same ones again and again. */
export class Crews {
  readonly #known = new Map<number | string, Crew>();
  #made = 0;

  constructor(private readonly problem: Problem) {}

  /** `lanes` by rank, ascending. Units go by measured speed, or to all alike. */
  of(lanes: readonly number[]): Crew {
    const { workers, isEven } = this.problem;
    const key = workers.length <= BITS ? bitsOf(lanes) : lanes.join();
    let crew = this.#known.get(key);
    if (!crew) {
      const weights = lanes.map((lane) => (isEven ? 1 : workers[lane].speed));
      this.#known.set(key, (crew = this.withShares(lanes, weights)));
    }
    return crew;
  }

  withShares(lanes: readonly number[], weights: readonly number[]): Crew {
    return new MadeCrew(this.problem, this.#made++, lanes, weights);
  }
}

/** Used again and again: counts are needed for a moment, for thousands of crews. */
const counts: number[] = [];

/** Works out what is asked for: most crews are dismissed early. */
class MadeCrew implements Crew {
  readonly shares: readonly number[];
  readonly speed: number;
  readonly #fractions: (readonly number[] | undefined)[];
  #starts: readonly number[] | null = null;
  #importance: (readonly number[] | undefined)[] | null = null;
  #amongAll: CrewLinks | null = null;
  #withOwner: CrewLinks | null = null;

  constructor(
    private readonly problem: Problem,
    readonly id: number,
    readonly lanes: readonly number[],
    weights: readonly number[],
  ) {
    let all = 0;
    let speed = 0;
    for (const weight of weights) all += weight;
    for (const lane of lanes) speed += problem.workers[lane].speed;
    this.shares = weights.map((weight) => weight / all);
    this.speed = speed;
    this.#fractions = new Array<undefined>(problem.unitCounts.length);
  }

  cutsOf(unitClass: number): readonly number[] {
    this.#count(this.problem.unitCounts[unitClass]);
    const cuts = [0];
    for (let k = 0; k < this.lanes.length; k++) cuts.push(cuts[k] + counts[k]);
    return cuts;
  }

  fractionsOf(unitClass: number): readonly number[] {
    return (this.#fractions[unitClass] ??= this.#fractionsOf(this.problem.unitCounts[unitClass]));
  }

  importanceOf(unitClass: number): readonly number[] {
    const curve = this.problem.headCurves[unitClass];
    if (!curve) return this.fractionsOf(unitClass);
    this.#importance ??= [];
    return (this.#importance[unitClass] ??= this.#importanceBy(curve, this.cutsOf(unitClass)));
  }

  get starts(): readonly number[] {
    return (this.#starts ??= startsOf(this.shares));
  }

  get amongAll(): CrewLinks {
    return (this.#amongAll ??= linksAmong(this.problem, this.lanes, this.shares, false));
  }

  get withOwner(): CrewLinks {
    return (this.#withOwner ??= linksAmong(this.problem, this.lanes, this.shares, true));
  }

  #fractionsOf(units: number): readonly number[] {
    this.#count(units);
    return this.shares.map((_, k) => counts[k] / units);
  }

  /** How many units each lane gets, into `counts`: whole grains where there are enough of them. */
  #count(units: number): void {
    const { grain } = this.problem;
    const hasGrains = units % grain === 0 && units >= grain * this.lanes.length;
    countsBy(hasGrains ? units / grain : units, this.shares, counts);
    if (!hasGrains || grain === 1) return;
    for (let k = 0; k < this.lanes.length; k++) counts[k] *= grain;
  }

  #importanceBy(curve: Float64Array, cuts: readonly number[]): readonly number[] {
    return this.lanes.map((_, k) => curve[cuts[k + 1]] - curve[cuts[k]]);
  }
}

function linksAmong(
  { links, workers }: Problem,
  lanes: readonly number[],
  shares: readonly number[],
  onlyOwner: boolean,
): CrewLinks {
  let latencyMs = 0;
  let shareMsPerByte = 0;
  let shareTrafficMs = 0;
  let wholeMsPerByte = 0;
  let wholeTrafficMs = 0;
  for (let u = 0; u < (onlyOwner ? 1 : lanes.length); u++) {
    for (let v = u + 1; v < lanes.length; v++) {
      const at = lanes[u] * workers.length + lanes[v];
      const msPerByte = links.msPerByte[at];
      latencyMs = Math.max(latencyMs, links.latencyMs[at]);
      wholeMsPerByte = Math.max(wholeMsPerByte, msPerByte);
      // Between two lanes both shares travel, one each way; with the owner only the other's does.
      const share = onlyOwner ? shares[v] : Math.max(shares[u], shares[v]);
      shareMsPerByte = Math.max(shareMsPerByte, share * msPerByte);
      shareTrafficMs += (onlyOwner ? shares[v] : shares[u] + shares[v]) * msPerByte;
      wholeTrafficMs += (onlyOwner ? 1 : 2) * msPerByte;
    }
  }
  return { latencyMs, shareMsPerByte, shareTrafficMs, wholeMsPerByte, wholeTrafficMs };
}

function startsOf(shares: readonly number[]): number[] {
  const starts = [0];
  for (let k = 0; k < shares.length; k++) starts.push(starts[k] + shares[k]);
  return starts;
}
