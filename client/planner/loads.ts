import type { Node } from '../model/graph.ts';
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
  forwardMs: number[];
  backwardMs: number[];
  weightsMs: number[];
  /** Per slot: parameters with sums of gradients and optimizer state. */
  stateBytes: number[];
  /** Per slot: share of the model's operations. */
  operations: number[];
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
export const WHOLE = -1;
export const OWNER = -2;

export function stageLoad(problem: Problem, layout: StageLayout): StageLoad {
  const { graph, workers, operations } = problem;
  const { start } = layout;
  const { splits, exchanges } = layout.detail();
  const nodeClasses = splits.map((split, i) => nodeClass(problem, graph.nodes[start + i], split));
  const slots = slotsOf(nodeClasses);
  const { amongAll, withOwner } = exchangeLoads(problem, exchanges);
  const load: StageLoad = {
    classes: slots.classes,
    forwardMs: zeros(workers.length * slots.count),
    backwardMs: zeros(workers.length * slots.count),
    weightsMs: zeros(workers.length * slots.count),
    stateBytes: zeros(slots.count),
    operations: zeros(slots.count),
    amongAll,
    withOwner,
  };
  nodeClasses.forEach((c, i) => {
    const slot = slots.of(c);
    const node = start + i;
    for (let w = 0, at = slot; w < workers.length; w++, at += slots.count) {
      const { forwardMs, backwardMs, weightsMs } = workers[w];
      // Of what is cut, each lane takes some as if it did the whole.
      const fixed = c >= 0 ? workers[w].fixedShare : 0;
      const whole = at - slot + slots.of(WHOLE);
      load.forwardMs[at] += (1 - fixed) * forwardMs[node];
      load.backwardMs[at] += (1 - fixed) * backwardMs[node];
      load.weightsMs[at] += (1 - fixed) * weightsMs[node];
      load.forwardMs[whole] += fixed * forwardMs[node];
      load.backwardMs[whole] += fixed * backwardMs[node];
      load.weightsMs[whole] += fixed * weightsMs[node];
    }
    load.stateBytes[slot] += problem.stateBytes[node];
    load.operations[slot] += operations[node + 1] - operations[node];
  });
  return load;
}

/** Classes that are cut, each with a slot; the last two slots are for what is done whole, and by the owner. */
export function slotsOf(used: readonly number[]): {
  classes: number[];
  count: number;
  of(unitClass: number): number;
} {
  const classes = [...new Set(used)].filter((c) => c >= 0).sort((a, b) => a - b);
  const count = classes.length + 2;
  return { classes, count, of: (c) => (c >= 0 ? classes.indexOf(c) : count - (c === WHOLE ? 2 : 1)) };
}

export const zeros = (count: number): number[] => new Array<number>(count).fill(0);

/** Whose units decide a lane's share of a node. */
export function nodeClass({ classOfSpace }: Problem, { input, output }: Node, split: Split): number {
  if (split === 'owner') return OWNER;
  if (split === 'copies') return WHOLE;
  return classOfSpace[split === 'rows' ? input.space : output.space];
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
