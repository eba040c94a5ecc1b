import { hashText, shuffled } from '../../shared/counter-random.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Order, Stage } from '../../shared/schema/plan.ts';
import type { ModelGraph, UnitSpace } from '../model/graph.ts';

/** How important the units of a space are, by unit. */
export interface UnitScores {
  space: number;
  scores: readonly number[];
}

/** How units are ordered before they are cut: important ones first; the others are for experiments. */
export type Ordering = 'importance' | 'random' | 'reverse';

/** Orders for the spaces that some stage cuts over several lanes: the first positions are those of the best lane. */
export function ordersOf(
  graph: ModelGraph,
  stages: readonly Pick<Stage, 'slicings'>[],
  importance: readonly UnitScores[],
  ordering: Ordering,
  seed: number,
): Order[] {
  const cut = new Set(stages.flatMap(({ slicings }) => slicings.map(({ space }) => space)));
  const orders: Order[] = [];
  let ordered = 0;
  for (const space of graph.spaces) {
    if (!cut.has(space.index) || !mayBeOrdered(space)) continue;
    const units = orderOf(space, scoresOf(space, importance), ordering, seed);
    // All orders of a plan travel in one message.
    if (!units || ordered + units.length > LIMITS.run.unitsInOrders) continue;
    ordered += units.length;
    orders.push({ space: space.index, units });
  }
  return orders;
}

function orderOf(
  { index, units }: UnitSpace,
  scores: readonly number[] | null,
  ordering: Ordering,
  seed: number,
): number[] | null {
  if (ordering === 'random') return [...shuffled(units, seed, hashText(`order/${index}`))];
  if (!scores) return null;
  const sign = ordering === 'reverse' ? -1 : 1;
  return scores.map((_, unit) => unit).sort((a, b) => sign * (scores[b] - scores[a]) || a - b);
}

/**
 * For each number of units: the share of importance that the first n have when important ones come first, as a mean over the spaces
 * of that size; what is not known, or not ordered, counts as equal. Null where that is all of them.
 */
export function headCurves(
  graph: ModelGraph,
  unitCounts: readonly number[],
  importance: readonly UnitScores[],
): (Float64Array | null)[] {
  return unitCounts.map((count) => {
    const spaces = graph.spaces.filter(({ units }) => units === count);
    const scores = spaces.map((space) => (mayBeOrdered(space) ? scoresOf(space, importance) : null));
    if (scores.every((known) => known === null)) return null;
    const curve = new Float64Array(count + 1);
    for (const known of scores)
      addCurve(curve, known ?? Array.from({ length: count }, () => 1), 1 / spaces.length);
    return curve;
  });
}

function addCurve(curve: Float64Array, scores: readonly number[], weight: number): void {
  const sorted = [...scores].sort((a, b) => b - a);
  const all = sorted.reduce((sum, score) => sum + score, 0);
  let sum = 0;
  sorted.forEach((score, i) => {
    sum += score;
    curve[i + 1] += weight * (all > 0 ? sum / all : (i + 1) / sorted.length);
  });
}

const mayBeOrdered = ({ pinned, units }: UnitSpace): boolean => !pinned && units <= LIMITS.run.orderedUnits;

/** Scores of every unit of a space; null where they are not known. */
function scoresOf({ index, units }: UnitSpace, importance: readonly UnitScores[]): readonly number[] | null {
  const scores = importance.find(({ space }) => space === index)?.scores;
  const areWhole = scores?.length === units && scores.every((score) => score >= 0 && score < Infinity);
  return areWhole ? scores : null;
}
