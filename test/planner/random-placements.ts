import type { Kind } from '../../client/planner/candidates.ts';
import { objectiveOf, type CostModel, type Laid, type Tail } from '../../client/planner/cost-model.ts';
import { randomWord, shuffled } from '../../shared/counter-random.ts';

/**
 * Plans without the planner's search: random ones, and what becomes of the best of them when anything about it is changed as long as
 * that helps. Only what a plan costs is the planner's own.
 */

/** A plan by its choices: each stage's layout and workers, from the samples on; the last group stands by. */
interface Choice {
  layouts: readonly Laid[];
  groups: readonly (readonly number[])[];
}

interface Found {
  choice: Choice;
  tail: Tail;
}

type Draw = (bound: number) => number;

const lanesMinOf = (kind: Kind): number => (kind === 'hybrid' || kind === 'horizontal' ? 2 : 1);
const lanesMaxOf = (kind: Kind): number => (lanesMinOf(kind) === 1 ? 1 : Infinity);

function built(model: CostModel, { layouts, groups }: Choice): Tail | null {
  let tail: Tail | null = null;
  for (let s = layouts.length - 1; s >= 0; s--) {
    tail = model.prepend(layouts[s], model.crews.of(groups[s]), tail);
    if (!tail) return null;
  }
  return tail;
}

const byRank = (group: readonly number[]): number[] => [...group].sort((a, b) => a - b);

function randomChoice(model: CostModel, kind: Kind, draw: Draw, seed: number, n: number): Choice | null {
  const { workers, graph } = model.problem;
  const lanesMin = lanesMinOf(kind);
  const products = graph.nodes.filter((node) => node.kind === 'linear').length;
  const most = Math.min(products, Math.floor(workers.length / lanesMin));
  const stages = kind === 'horizontal' ? 1 : 2 + draw(most - 1);
  const left = [...shuffled(workers.length, seed, n)];
  const groups = Array.from({ length: stages }, () => left.splice(0, lanesMin));
  if (lanesMin > 1)
    for (const worker of left.splice(0, draw(left.length + 1))) groups[draw(stages)].push(worker);
  const layouts: Laid[] = [];
  let end = graph.nodes.length;
  for (let s = stages - 1; s >= 0; s--) {
    const possible = model.layoutsTo(end, lanesMin === 1).filter(({ start }) => (start === 0) === (s === 0));
    if (possible.length === 0) return null;
    const layout = possible[draw(possible.length)];
    layouts.unshift(layout);
    end = layout.start;
  }
  return { layouts, groups: [...groups.map(byRank), byRank(left)] };
}

/** One worker elsewhere, or two in each other's place. */
function* otherWorkers({ layouts, groups }: Choice, kind: Kind): Generator<Choice> {
  const standby = groups.length - 1;
  for (let a = 0; a <= standby; a++) {
    for (let b = 0; b <= standby; b++) {
      if (a === b) continue;
      for (const x of groups[a]) {
        const mayGo = a === standby || groups[a].length > lanesMinOf(kind);
        const mayCome = b === standby || groups[b].length < lanesMaxOf(kind);
        if (mayGo && mayCome) {
          const next = [...groups];
          next[a] = groups[a].filter((one) => one !== x);
          next[b] = byRank([...groups[b], x]);
          yield { layouts, groups: next };
        }
        if (a > b) continue;
        for (const y of groups[b]) {
          const next = [...groups];
          next[a] = byRank([...groups[a].filter((one) => one !== x), y]);
          next[b] = byRank([...groups[b].filter((one) => one !== y), x]);
          yield { layouts, groups: next };
        }
      }
    }
  }
}

/** The crews of two stages in each other's place. */
function* otherCrews({ layouts, groups }: Choice): Generator<Choice> {
  for (let a = 0; a < layouts.length; a++) {
    for (let b = a + 1; b < layouts.length; b++) {
      const next = [...groups];
      [next[a], next[b]] = [groups[b], groups[a]];
      yield { layouts, groups: next };
    }
  }
}

/** Two stages cut elsewhere and laid in any way; a stage laid in any way. */
function* otherLayouts(model: CostModel, { layouts, groups }: Choice): Generator<Choice> {
  const { isOneLane } = layouts[0];
  for (let s = 0; s < layouts.length; s++) {
    for (const layout of model.layoutsTo(layouts[s].end, isOneLane)) {
      if (layout.start === layouts[s].start) yield { layouts: layouts.with(s, layout), groups };
      if (s === 0 || layout.start <= layouts[s - 1].start) continue;
      for (const before of model.layoutsTo(layout.start, isOneLane)) {
        if (before.start === layouts[s - 1].start)
          yield { layouts: layouts.with(s, layout).with(s - 1, before), groups };
      }
    }
  }
}

/** Takes whatever helps, until nothing does. */
function climbed(model: CostModel, kind: Kind, start: Found): Found {
  let best = start;
  const step = (choices: Iterable<Choice>): boolean => {
    for (const choice of choices) {
      const tail = built(model, choice);
      if (!tail || objectiveOf(tail) >= objectiveOf(best.tail) * (1 - 1e-9)) continue;
      best = { choice, tail };
      return true;
    }
    return false;
  };
  while (
    step(otherWorkers(best.choice, kind)) ||
    step(otherLayouts(model, best.choice)) ||
    step(otherCrews(best.choice))
  );
  return best;
}

/** The best of so many random plans of a kind, after the best few of them have been improved. */
export function bestOfRandom(
  model: CostModel,
  kind: Kind,
  seed: number,
  { plans = 10_000, climbs = 8 }: { plans?: number; climbs?: number } = {},
): Tail | null {
  const found: Found[] = [];
  for (let n = 0; n < plans; n++) {
    let draws = 0;
    const draw: Draw = (bound) => randomWord(seed, n, draws++) % bound;
    const choice = randomChoice(model, kind, draw, seed, n);
    const tail = choice && built(model, choice);
    if (tail) found.push({ choice, tail });
  }
  found.sort((a, b) => objectiveOf(a.tail) - objectiveOf(b.tail));
  const improved = found.slice(0, climbs).map((one) => climbed(model, kind, one).tail);
  return improved.sort((a, b) => objectiveOf(a) - objectiveOf(b)).at(0) ?? null;
}
