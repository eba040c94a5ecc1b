import { tensorOf, type Node } from '../model/graph.ts';
import type { Layout } from '../partition/layout.ts';
import type { Split } from '../../shared/schema/plan.ts';
import type { Exchange, StageLayout } from './layouts.ts';
import type { Problem } from './profile.ts';

/**
 * What a stage costs its lanes, summed over nodes by how they are shared out. Slots: one for each number of units that is cut
 * (`classes`, indices into `unitCounts`), of which a lane has the share of its units; then what every lane does whole; then what
 * only the owner does.
 */
export interface StageLoad {
  classes: readonly number[];
  /** [worker * slots + slot]. */
  forwardMs: Float64Array;
  backwardMs: Float64Array;
  /** Per slot: parameters with sums of gradients and optimizer state. */
  stateBytes: Float64Array;
  /** Per slot: tensors of one micro-batch. */
  tensorBytes: Float64Array;
  /** Per slot: the largest of them, and the largest parameter array. */
  largestTensorBytes: Float64Array;
  largestParameterBytes: Float64Array;
  /** Per slot: share of the model's operations. */
  operations: Float64Array;
  /** Exchanges that each lane takes part in with each other, and those with the owner alone. */
  amongAll: ExchangeLoad;
  withOwner: ExchangeLoad;
}

export interface ExchangeLoad {
  count: number;
  /** Bytes per micro-batch of the tensors of which lanes send or get their share. */
  shareBytes: number;
  /** Bytes of those that go whole. */
  wholeBytes: number;
}

/** In the place of a class. */
const WHOLE = -1;
const OWNER = -2;

export function stageLoad(problem: Problem, layout: StageLayout): StageLoad {
  const { graph, workers, operations, classOfSpace } = problem;
  const { start } = layout;
  const { splits, spreads, exchanges } = layout.detail();
  const nodeClasses = splits.map((split, i) => nodeClass(classOfSpace, graph.nodes[start + i], split));
  const spreadClasses = spreads.map(({ tensor, layout: lies }) =>
    spreadClass(lies, classOfSpace[tensorOf(graph, tensor).space]),
  );
  const classes = [...new Set([...nodeClasses, ...spreadClasses])]
    .filter((c) => c >= 0)
    .sort((a, b) => a - b);
  const slots = classes.length + 2;
  const slotOf = (c: number) => (c >= 0 ? classes.indexOf(c) : slots - (c === WHOLE ? 2 : 1));
  const load = {
    classes,
    forwardMs: new Float64Array(workers.length * slots),
    backwardMs: new Float64Array(workers.length * slots),
    stateBytes: new Float64Array(slots),
    tensorBytes: new Float64Array(slots),
    largestTensorBytes: new Float64Array(slots),
    largestParameterBytes: new Float64Array(slots),
    operations: new Float64Array(slots),
    ...exchangeLoads(problem, exchanges),
  };
  nodeClasses.forEach((c, i) => {
    const slot = slotOf(c);
    const node = start + i;
    for (let w = 0, at = slot; w < workers.length; w++, at += slots) {
      load.forwardMs[at] += workers[w].forwardMs[node];
      load.backwardMs[at] += workers[w].backwardMs[node];
    }
    load.stateBytes[slot] += problem.stateBytes[node];
    load.operations[slot] += operations[node + 1] - operations[node];
    const largest = problem.largestParameterBytes[node];
    load.largestParameterBytes[slot] = Math.max(load.largestParameterBytes[slot], largest);
  });
  spreadClasses.forEach((c, i) => {
    const slot = slotOf(c);
    const bytes = problem.tensorBytes[spreads[i].tensor + 1];
    load.tensorBytes[slot] += bytes;
    load.largestTensorBytes[slot] = Math.max(load.largestTensorBytes[slot], bytes);
  });
  return load;
}

/** Whose units decide a lane's share of a node. */
function nodeClass(classOfSpace: readonly number[], { input, output }: Node, split: Split): number {
  if (split === 'owner') return OWNER;
  if (split === 'copies') return WHOLE;
  return classOfSpace[split === 'rows' ? input.space : output.space];
}

function spreadClass(layout: Layout, own: number): number {
  if (layout === 'owner') return OWNER;
  return layout === 'slices' ? own : WHOLE;
}

function exchangeLoads({ rows }: Problem, exchanges: readonly Exchange[]) {
  const amongAll: ExchangeLoad = { count: 0, shareBytes: 0, wholeBytes: 0 };
  const withOwner: ExchangeLoad = { count: 0, shareBytes: 0, wholeBytes: 0 };
  for (const { from, to, width } of exchanges) {
    const load = from === 'owner' || to === 'owner' ? withOwner : amongAll;
    load.count++;
    const isShare = from === 'slices' || to === 'slices';
    load[isShare ? 'shareBytes' : 'wholeBytes'] += rows * width * 4;
  }
  return { amongAll, withOwner };
}
