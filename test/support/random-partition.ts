import fc from 'fast-check';
import { modelGraph, type ModelGraph, type Node } from '../../client/model/graph.ts';
import { lossSplits, slicingsFor } from '../../client/partition/stages.ts';
import { shuffled } from '../../shared/counter-random.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Order, Split, Stage } from '../../shared/schema/plan.ts';

/** Random ways to cut a model: stages, lanes, splits that are legal for each node, slices (empty ones too), orders of units. */
export interface Cut {
  stages: Stage[];
  orders: Order[];
}

export interface CutModel extends Cut {
  model: ModelSpec;
}

interface Choices {
  stages: { at: number; lanes: number; owner: number }[];
  /** One for each node, again and again. */
  splits: number[];
  /** One for each cut point, again and again. */
  cuts: number[];
  /** Every lane of the last stage makes the loss for itself, where that may be. */
  sharesLoss: boolean;
  /** Null: the model's own order. */
  orderSeed: number | null;
}

const choicesArbitrary: fc.Arbitrary<Choices> = fc.record({
  stages: fc.array(fc.record({ at: fc.nat(1000), lanes: fc.constantFrom(1, 2, 2, 3, 3), owner: fc.nat(2) }), {
    minLength: 1,
    maxLength: 3,
  }),
  splits: fc.array(fc.nat(11), { minLength: 1, maxLength: 24, size: 'max' }),
  cuts: fc.array(fc.nat(59), { minLength: 1, maxLength: 12, size: 'max' }),
  sharesLoss: fc.boolean(),
  orderSeed: fc.option(fc.nat(1000)),
});

export const cutModelArbitrary = (models: fc.Arbitrary<ModelSpec>): fc.Arbitrary<CutModel> =>
  fc
    .record({ model: models, choices: choicesArbitrary })
    .map(({ model, choices }) => ({ model, ...cutBy(modelGraph(model), choices) }));

function cutBy(graph: ModelGraph, choices: Choices): Cut {
  const possible = legalCuts(graph);
  const wanted = choices.stages.slice(1).map(({ at }) => possible[at % Math.max(1, possible.length)]);
  const inner = [...new Set(wanted.filter((at) => (at as number | undefined) !== undefined))].sort(
    (a, b) => a - b,
  );
  const edges = [0, ...inner, graph.nodes.length];
  const stages = edges.slice(1).map((end, s): Stage => {
    const { lanes, owner } = choices.stages[s];
    const nodes: [number, number] = [edges[s], end];
    const splits: Split[] = [];
    for (const node of graph.nodes.slice(...nodes)) {
      const isAfterSum =
        node.op.kind === 'bias' && splits.at(-1) === 'rows' && node.index < graph.nodes.length - 1;
      const options: Split[] = [
        ...(isAfterSum ? (['summand', 'summand'] as const) : []),
        ...legalSplits(graph, node, lanes),
      ];
      splits.push(options[choices.splits[node.index % choices.splits.length] % options.length]);
    }
    const atLoss = lossSplits(graph);
    const product = splits.length - (atLoss?.length ?? 0) - 1;
    if (choices.sharesLoss && atLoss && lanes > 1 && end === graph.nodes.length && product >= 0)
      splits.splice(product, splits.length - product, 'rows', ...atLoss);
    return {
      nodes,
      splits,
      lanes: Array.from({ length: lanes }, (_, lane) => `stage${s}lane${lane}`),
      slicings: slicingsFor(graph, nodes, splits, (space) => {
        const { units } = graph.spaces[space];
        const points = Array.from(
          { length: lanes - 1 },
          (_, i) => choices.cuts[(7 * s + 3 * space + i) % choices.cuts.length] % (units + 1),
        );
        return [0, ...points.sort((a, b) => a - b), units];
      }),
      owner: owner % lanes,
      deputy: (owner + 1) % lanes,
    };
  });
  const { orderSeed } = choices;
  const orders =
    orderSeed === null
      ? []
      : graph.spaces
          .filter(({ pinned }) => !pinned)
          .map(({ index, units }) => ({ space: index, units: [...shuffled(units, orderSeed, index)] }));
  return { stages, orders };
}

/** Where one stage may end: nodes beyond read no more than the last tensor before. */
export const legalCuts = (graph: ModelGraph): number[] =>
  graph.nodes
    .map(({ index }) => index)
    .filter(
      (at) => at > 0 && graph.nodes.slice(at).every(({ inputs }) => inputs.every((input) => input >= at - 1)),
    );

/** How a node may be cut over several lanes; what is seldom of use comes once, the rest more often. */
function legalSplits(graph: ModelGraph, { index, kind, parameters }: Node, lanes: number): Split[] {
  if (lanes === 1 || index === graph.nodes.length - 1) return ['owner'];
  if (kind === 'linear') return ['columns', 'rows', 'columns', 'rows', 'owner'];
  if (kind === 'across') return parameters.length > 0 ? ['owner'] : ['copies', 'owner'];
  return parameters.length > 0
    ? ['slices', 'slices', 'slices', 'owner']
    : ['slices', 'slices', 'slices', 'copies', 'owner'];
}
