import type { CostModel, Laid, Tail } from './cost-model.ts';
import { objectiveOf } from './cost-model.ts';
import type { Crew } from './crew.ts';

/** Plans of so many stages, with so many lanes each. */
export interface Shape {
  stages: number;
  lanesMin: number;
  lanesMax: number;
}

/** Which crews may come next, before those who are used already. `used` is a word of the source's own. */
export interface CrewSource {
  /** `stagesLeft` stages are still to be manned after this one. */
  next(used: number, shape: Shape, stagesLeft: number): readonly { crew: Crew; used: number }[];
  /** Speed of everybody who is still free. */
  speedLeft(used: number): number;
}

interface Label {
  tail: Tail;
  used: number;
  /** What a step would take if the rest were shared out evenly. */
  promiseMs: number;
}

export interface SearchLimits {
  /** Only plans that are better than this. */
  boundMs?: number;
  /** Tails kept after each stage; fewer are faster and may miss the best plan. */
  widthMax?: number;
  /** Tails to be looked at, by one search or several; then the best plan so far must do. */
  effort?: { tailsLeft: number };
}

/** Equal to the last digits counts as equal: then the first one found stays. */
const EQUAL = 1 - 1e-9;

/**
 * The best plan of one shape with crews from `source`: dynamic programming over cuts and crews from the loss to the samples. Tails
 * that begin at the same cut, in the same layout, with the same crew, are compared by span, round trip and extras, none of which ever
 * shrinks as stages are put in front; those that are worse in all are dropped, and so are those that cannot beat `boundMs` even if
 * all free devices shared the rest perfectly.
 */
export function bestTail(
  model: CostModel,
  shape: Shape,
  source: CrewSource,
  { boundMs = Infinity, widthMax = Infinity, effort = { tailsLeft: Infinity } }: SearchLimits = {},
): Tail | null {
  const { graph, leastWork, microBatches, passShare } = model.problem;
  let best: Tail | null = null;
  let bound = boundMs * EQUAL;
  let labels: readonly (Label | null)[] = [null];
  for (let stagesLeft = shape.stages - 1; stagesLeft >= 0; stagesLeft--) {
    const level = new Level(widthMax);
    for (const label of labels) {
      const next = label?.tail ?? null;
      const end = next?.layout.start ?? graph.nodes.length;
      for (const { crew, used } of source.next(label?.used ?? 0, shape, stagesLeft)) {
        const speedLeft = source.speedLeft(used);
        for (const layout of model.layoutsTo(end, crew.lanes.length === 1)) {
          if ((layout.start === 0) !== (stagesLeft === 0)) continue;
          const work = leastWork[end] - leastWork[layout.start];
          const restMs = layout.start === 0 ? 0 : leastWork[layout.start] / speedLeft;
          const passMs = work / crew.speed;
          const waysMs = (next?.spanMs ?? 0) + passShare * passMs;
          const extraMs = next?.extraMs ?? 0;
          const leastMs = Math.max(microBatches * Math.max(passMs, restMs), waysMs + passShare * restMs);
          if (leastMs + extraMs >= bound) continue;
          if (Math.max(microBatches * passMs, waysMs) + restMs + extraMs > level.mostMs) continue;
          const evenRestMs = (microBatches + stagesLeft - 1) * restMs;
          if (evenRestMs + extraMs > level.mostMs) continue;
          if (effort.tailsLeft-- <= 0) return best;
          const tail = model.prepend(layout, crew, next, Math.min(bound, level.mostMs / EQUAL) - restMs);
          if (!tail) continue;
          if (stagesLeft === 0) {
            best = tail;
            bound = objectiveOf(tail) * EQUAL;
          } else {
            const promiseMs = Math.max(tail.spanMs + restMs, evenRestMs) + tail.extraMs;
            if (promiseMs <= level.mostMs)
              level.add(keyOf(layout, tail.crew, used), { tail, used, promiseMs });
          }
        }
      }
    }
    labels = level.labels;
  }
  return best;
}

/** Tails with the same number of stages: of those alike for what comes before them the ones that are not worse in all, of all the most promising. */
class Level {
  /** A label that promises less is not among the most promising. */
  mostMs = Infinity;
  readonly #fronts = new Map<number, Label[]>();
  /** Promises of the most promising ones, ascending. */
  readonly #promisesMs: number[] = [];

  constructor(private readonly widthMax: number) {}

  add(key: number, label: Label): void {
    const front = this.#fronts.get(key);
    if (!front) this.#fronts.set(key, [label]);
    else {
      for (const known of front) if (dominates(known.tail, label.tail)) return;
      for (let i = front.length - 1; i >= 0; i--) {
        if (dominates(label.tail, front[i].tail)) this.#forget(front.splice(i, 1)[0]);
      }
      front.push(label);
    }
    this.#remember(label);
  }

  get labels(): readonly Label[] {
    const all = [...this.#fronts.values()].flat();
    if (all.length <= this.widthMax) return all;
    return all.sort((a, b) => a.promiseMs - b.promiseMs).slice(0, this.widthMax);
  }

  #remember({ promiseMs }: Label): void {
    if (this.widthMax === Infinity) return;
    const promises = this.#promisesMs;
    let at = promises.length;
    while (at > 0 && promises[at - 1] > promiseMs) at--;
    promises.splice(at, 0, promiseMs);
    if (promises.length > this.widthMax) promises.pop();
    if (promises.length === this.widthMax) this.mostMs = promises[this.widthMax - 1];
  }

  #forget({ promiseMs }: Label): void {
    const at = this.#promisesMs.indexOf(promiseMs);
    if (at < 0) return;
    this.#promisesMs.splice(at, 1);
    this.mostMs = Infinity;
  }
}

const ENTRIES = ['slices', 'copies', 'partial', 'owner'] as const;

const keyOf = ({ place, entry }: Laid, crew: Crew, used: number): number =>
  ((crew.id * 64 + place) * 4 + ENTRIES.indexOf(entry)) * 256 + used;

const dominates = (a: Tail, b: Tail): boolean =>
  a.spanMs <= b.spanMs && a.roundTripMs <= b.roundTripMs && a.extraMs <= b.extraMs;
