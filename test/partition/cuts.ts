import { modelGraph } from '../../client/model/graph.ts';
import { partitionOf, type Partition } from '../../client/partition/partition.ts';
import { cutsBy, slicingsFor, splitsFor, type Settled } from '../../client/partition/stages.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Stage } from '../../shared/schema/plan.ts';

/** Cuts as a planner would make them, for hand-made models. */

export interface StageCut {
  /** The first layer of the next stage; left out: the model's end. */
  until?: string;
  /** Of how many parts each lane gets which: [1, 2] is a third and two thirds. */
  shares: number[];
  owner?: number;
  /** How a tensor that the stage before gives is taken; the whole of it, if this is left out. */
  entering?: Settled;
  /** Cut points of a space, where `shares` should not decide. */
  cuts?: Record<number, number[]>;
}

/** How the linear layers lie: every second one of a chain is cut by rows, and what the loss reads is complete at its owner. */
export type Linear = (layer: string) => 'columns' | 'rows' | 'owner';

export function stagesOf(model: ModelSpec, linear: Linear, cuts: readonly StageCut[]): Stage[] {
  const graph = modelGraph(model);
  let start = 0;
  return cuts.map(({ until, shares, owner = 0, entering = 'copies', cuts: points }, s): Stage => {
    const end =
      until === undefined ? graph.nodes.length : graph.nodes.findIndex(({ layer }) => layer === until);
    const nodes: [number, number] = [start, end];
    const several = shares.length > 1;
    const splits = several
      ? splitsFor(graph, nodes, (node) => linear(graph.nodes[node].layer), entering)
      : Array.from({ length: end - start }, () => 'owner' as const);
    start = end;
    return {
      nodes,
      splits,
      lanes: shares.map((_, lane) => `stage${s}lane${lane}`),
      slicings: slicingsFor(
        graph,
        nodes,
        splits,
        (space) => points?.[space] ?? cutsBy(graph.spaces[space].units, shares),
      ),
      owner,
      deputy: several ? (owner + 1) % shares.length : owner,
    };
  });
}

export const partitioned = (model: ModelSpec, linear: Linear, cuts: readonly StageCut[]): Partition =>
  partitionOf(modelGraph(model), stagesOf(model, linear, cuts));

/** `layer/op layout` of everything a segment works on, between how its entry and exit lie. */
export function shownSegments({ segments }: Partition): string[] {
  return segments.map(({ stage, entry, works, exit }) => {
    const inside = works
      .map(({ node, output }) => `${node.layer}.${node.op.kind} ${output.layout}`)
      .join(', ');
    return `${stage}: ${entry?.layout ?? 'samples'} | ${inside} | ${exit?.layout ?? 'loss'}`;
  });
}

export const shownBoundaries = ({ boundaries, graph }: Partition): string[] =>
  boundaries.map(({ kind, from, to, isInner }) => {
    const { layer, op } = graph.nodes[from.tensor];
    return `${kind} ${layer}.${op.kind} ${from.layout} to ${to.layout} ${isInner ? 'inside' : 'between'}`;
  });

export const spaceOf = (model: ModelSpec, layer: string): number =>
  modelGraph(model).spaces.find((space) => space.layer === layer)!.index;
