import type { Problem } from './profile.ts';
import type { Shape } from './search.ts';

/** Workers of each stage, from samples to loss, each group by rank. */
export type Groups = readonly (readonly number[])[];

/** Rooms beyond this also try with their best half, quarter and so on: not everybody helps. */
const ROOM_OF_ALL = 16;

/**
 * Ways to man the stages of a shape for a search to begin with: neighbours side by side, the fast dealt out evenly, memory dealt out
 * evenly, each with all devices, and with those that are linked with one another.
 */
export function beginnings(problem: Problem, shape: Shape): Groups[] {
  const most = Math.min(problem.workers.length, shape.stages * shape.lanesMax);
  const least = shape.stages * shape.lanesMin;
  const all = problem.workers.map((_, i) => i);
  const found = new Map<string, Groups>();
  for (const pool of [all, linkedPool(problem)]) {
    for (let size = Math.min(most, pool.length); size >= least; size = Math.floor(size / 2)) {
      const members = pool.slice(0, size);
      const byMemory = [...members].sort(
        (a, b) => problem.workers[b].memoryBytes - problem.workers[a].memoryBytes || a - b,
      );
      const ways = [
        runs(problem, chained(problem, members), shape),
        dealt(members, shape),
        dealt(byMemory, shape),
        runs(problem, byMemory, shape),
      ];
      for (const groups of ways) found.set(groups.join('/'), groups);
      if (size <= ROOM_OF_ALL) break;
    }
  }
  return [...found.values()];
}

/** Runs of an order with about the same speed each. */
function runs({ workers }: Problem, order: readonly number[], { stages, lanesMin, lanesMax }: Shape): Groups {
  const speedOf = (group: readonly number[]) => group.reduce((sum, i) => sum + workers[i].speed, 0);
  const each = speedOf(order) / stages;
  const groups: number[][] = [];
  let at = 0;
  for (let stagesLeft = stages - 1; stagesLeft >= 0; stagesLeft--) {
    const rest = order.length - at;
    const least = Math.max(lanesMin, rest - stagesLeft * lanesMax);
    const most = Math.min(lanesMax, rest - stagesLeft * lanesMin);
    let count = least;
    while (count < most && speedOf(order.slice(at, at + count)) < each) count++;
    if (stagesLeft === 0) count = most;
    groups.push(order.slice(at, at + count).sort((a, b) => a - b));
    at += count;
  }
  return groups;
}

/** To and fro: the first to the first stage, ..., the next to the last stage, and back. */
function dealt(order: readonly number[], { stages }: Shape): Groups {
  const groups = Array.from({ length: stages }, (): number[] => []);
  order.forEach((worker, i) => {
    const place = i % stages;
    groups[Math.floor(i / stages) % 2 === 0 ? place : stages - 1 - place].push(worker);
  });
  return groups.map((group) => group.sort((a, b) => a - b));
}

/** Each next to the nearest one that is left. */
export function chained({ links }: Problem, members: readonly number[]): number[] {
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
