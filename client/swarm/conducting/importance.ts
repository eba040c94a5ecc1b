import type { Scores } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import type { ModelGraph } from '../../model/graph.ts';

/** Scores of all units of a space, by unit. */
export interface UnitScores {
  space: number;
  scores: number[];
}

/** Scores under the name of the layer that makes the units, for people. */
export interface LayerScores {
  layer: string;
  scores: number[];
}

export const byLayer = (graph: ModelGraph, scores: readonly UnitScores[]): LayerScores[] =>
  scores.map(({ space, scores: all }) => ({ layer: graph.spaces[space].layer, scores: all }));

/** Puts together what the lanes measured: positions under `plan` become units. Spaces that nobody measured are left out. */
export function unitScores(graph: ModelGraph, plan: Plan, measured: readonly Scores[]): UnitScores[] {
  const bySpace = new Map<number, number[]>();
  for (const { space, start, scores } of measured) {
    const size = graph.spaces[space]?.units ?? 0;
    if (start + scores.length > size) continue;
    let units = bySpace.get(space);
    if (!units) bySpace.set(space, (units = new Array<number>(size).fill(0)));
    const order = plan.orders.find((candidate) => candidate.space === space)?.units;
    for (const [i, score] of scores.entries()) units[order?.[start + i] ?? start + i] += score;
  }
  return [...bySpace].sort(([a], [b]) => a - b).map(([space, scores]) => ({ space, scores }));
}
