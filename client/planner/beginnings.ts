import type { CostModel } from './cost-model.ts';
import { CrewsInOrder, SameCrews } from './crew-sources.ts';
import type { Problem } from './profile.ts';
import type { CrewSource, Shape } from './search.ts';

/** Rooms beyond this also begin with their best half, quarter and so on: not everybody helps. */
const ROOM_OF_ALL = 16;
/** About so many bundles of devices are shared out over the stages at first. */
const BUNDLES = 6;

/**
 * Ways to man the stages of a shape for a search to begin with: devices in a row of neighbours, or by rank, cut into runs wherever it is
 * best; and fixed crews of neighbours, or dealt out evenly.
 */
export function* beginnings(model: CostModel, shape: Shape): Generator<CrewSource> {
  const { problem } = model;
  for (const members of pools(problem, shape)) {
    const row = chained(problem, members);
    const bundle = shape.stages === 1 ? 1 : Math.floor(members.length / Math.max(BUNDLES, shape.stages));
    // One stage is cut from one end of a row only, so it gets rows that begin with each.
    const others = shape.stages === 1 ? members.slice(1, ROOM_OF_ALL) : [];
    const rows = others.map((first) => chained(problem, [first, ...members.filter((one) => one !== first)]));
    for (const order of [row, members, row.toReversed(), members.toReversed(), ...rows]) {
      yield new CrewsInOrder(model, order, Math.max(1, Math.min(bundle, shape.lanesMax)));
    }
    const most = members.slice(0, shape.stages * shape.lanesMax);
    yield new SameCrews(model, runs(problem, chained(problem, most), shape));
    yield new SameCrews(model, dealt(most, shape));
    if (!problem.hasBudgets) continue;
    const byMemory = [...members].sort(
      (a, b) => problem.workers[b].memoryBytes - problem.workers[a].memoryBytes || a - b,
    );
    yield new SameCrews(model, dealt(byMemory.slice(0, most.length), shape));
    yield new CrewsInOrder(model, byMemory);
  }
}

/** Everybody, those who are all linked with one another, and of large rooms the best. */
function pools(problem: Problem, { stages, lanesMin }: Shape): number[][] {
  const all = problem.workers.map((_, i) => i);
  const linked = linkedPool(problem);
  const found: number[][] = [];
  for (const pool of linked.length < all.length ? [all, linked] : [all]) {
    for (let size = pool.length; size >= stages * lanesMin; size = Math.floor(size / 2)) {
      found.push(pool.slice(0, size));
      if (size <= ROOM_OF_ALL) break;
    }
  }
  return found;
}

/** Runs of an order with about the same speed each. */
function runs(
  { workers }: Problem,
  order: readonly number[],
  { stages, lanesMin, lanesMax }: Shape,
): number[][] {
  const speedOf = (group: readonly number[]) => group.reduce((sum, i) => sum + workers[i].speed, 0);
  const each = speedOf(order) / stages;
  const groups: number[][] = [];
  let at = 0;
  for (let stagesLeft = stages - 1; stagesLeft >= 0; stagesLeft--) {
    const rest = order.length - at;
    const least = Math.max(lanesMin, rest - stagesLeft * lanesMax);
    const most = Math.min(lanesMax, rest - stagesLeft * lanesMin);
    let count = stagesLeft === 0 ? most : least;
    while (count < most && speedOf(order.slice(at, at + count)) < each) count++;
    groups.push(order.slice(at, at + count).sort((a, b) => a - b));
    at += count;
  }
  return groups;
}

/** To and fro: the first to the first stage, ..., the next to the last stage, and back. */
function dealt(order: readonly number[], { stages }: Shape): number[][] {
  const groups = Array.from({ length: stages }, (): number[] => []);
  order.forEach((worker, i) => {
    const place = i % stages;
    groups[Math.floor(i / stages) % 2 === 0 ? place : stages - 1 - place].push(worker);
  });
  return groups.map((group) => group.sort((a, b) => a - b));
}

/** Each next to the nearest one that is left. */
function chained({ links }: Problem, members: readonly number[]): number[] {
  const left = new Set(members.slice(1));
  const order = [members[0]];
  while (left.size > 0) {
    const last = order[order.length - 1];
    let nearest = -1;
    for (const worker of left) {
      if (nearest < 0 || links.transferMs(last, worker) < links.transferMs(last, nearest)) nearest = worker;
    }
    order.push(nearest);
    left.delete(nearest);
  }
  return order;
}

/** The best ones of whom each is linked with each. */
function linkedPool({ links, workers }: Problem): number[] {
  const pool: number[] = [];
  workers.forEach((_, worker) => {
    if (pool.every((other) => links.areLinked(worker, other))) pool.push(worker);
  });
  return pool;
}
