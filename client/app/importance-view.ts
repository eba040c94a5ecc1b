import type { RunConfig } from '../../shared/schema/config.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { modelGraph } from '../model/graph.ts';

/** Scores of the units that a layer makes, by unit. */
export interface LayerScores {
  layer: string;
  scores: number[];
}

export interface ImportanceRow {
  layer: string;
  /** Of the layer's importance and of its units, 0..1, one for each lane that has any. */
  lanes: { peer: PeerId; importance: number; units: number }[];
}

/** Which lane has how much of each layer's importance, in the order of the model. Layers that nobody measured are left out. */
export function importanceRows(
  plan: Plan,
  config: RunConfig,
  measured: readonly LayerScores[],
): ImportanceRow[] {
  const graph = modelGraph(config.model);
  return graph.spaces.flatMap((space) => {
    const scores = measured.find(({ layer }) => layer === space.layer)?.scores ?? [];
    const all = scores.reduce((sum, score) => sum + score, 0);
    // Where its units are made.
    const maker = graph.nodes.findIndex(
      ({ layer, output }) => layer === space.layer && output.space === space.index,
    );
    const stage = plan.stages.find(({ nodes: [start, end] }) => start <= maker && maker < end);
    if (!stage || scores.length !== space.units || all <= 0) return [];
    const cuts = stage.slicings.find((slicing) => slicing.space === space.index)?.cuts;
    if (!cuts)
      return [{ layer: space.layer, lanes: [{ peer: stage.lanes[stage.owner], importance: 1, units: 1 }] }];
    const order = plan.orders.find((candidate) => candidate.space === space.index)?.units;
    const lanes = stage.lanes.map((peer, k) => {
      let sum = 0;
      for (let position = cuts[k]; position < cuts[k + 1]; position++)
        sum += scores[order?.[position] ?? position];
      return { peer, importance: sum / all, units: (cuts[k + 1] - cuts[k]) / space.units };
    });
    return [{ layer: space.layer, lanes: lanes.filter(({ units }) => units > 0) }];
  });
}
