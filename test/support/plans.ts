import { modelGraph } from '../../client/model/graph.ts';
import { cutsBy, oneLaneStage, slicingsFor, splitsFor } from '../../client/partition/stages.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Plan, Stage } from '../../shared/schema/plan.ts';

/** A stage of several lanes: its products are cut by columns and by rows in turn. */
export function lanesStage(
  model: ModelSpec,
  nodes: [start: number, end: number],
  lanes: PeerId[],
  shares: readonly number[],
): Stage {
  const graph = modelGraph(model);
  const linear = graph.nodes.slice(...nodes).filter(({ kind }) => kind === 'linear');
  const splits = splitsFor(
    graph,
    nodes,
    (node) => (linear.findIndex(({ index }) => index === node) % 2 === 0 ? 'columns' : 'rows'),
    'copies',
  );
  const slicings = slicingsFor(graph, nodes, splits, (space) => cutsBy(graph.spaces[space].units, shares));
  return { nodes, splits, lanes, slicings, owner: 0, deputy: lanes.length > 1 ? 1 : 0 };
}

/** A plan with these stages, as a coordinator `peer` makes one. */
export function planOf(stages: Stage[], peer: PeerId, changes: Partial<Plan> = {}): Plan {
  const holders = stages.flatMap(({ lanes }) => lanes);
  return {
    term: { counter: 1, peer },
    version: 1,
    run: 1,
    startStep: 0,
    endStep: 600,
    stages,
    wire: 'float32',
    orders: [],
    sources: [],
    standby: [],
    dataHomes: holders.slice(0, 2),
    predicted: {
      stepMs: 204.05,
      stageMs: stages.map((_, i) => 37 - i),
      memoryBytes: stages.map(({ lanes }) => lanes.map(() => 4e6)),
      why: 'Two stages beat one by 22%: the links are slow.',
    },
    ...changes,
  };
}

export { oneLaneStage };
