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
  /** Forward, backward and weight gradients of each worker and slot: three numbers from [3 * (worker * slots + slot)] on. */
  passesMs: Float64Array;
  /** Per slot: parameters with sums of gradients and optimizer state. */
  stateBytes: number[];
  /** Per slot: share of the model's operations. */
  operations: number[];
  /** The slots of units to whose sums the owner adds a bias, so that it needs some of them. */
  summandSlots: readonly number[];
  /** Exchanges that each lane takes part in with each other, and those with the owner alone. */
  amongAll: ExchangeLoad;
  withOwner: ExchangeLoad;
}

export interface ExchangeLoad {
  count: number;
  /** Ways between lanes: there and back, or there alone. */
  ways: number;
  /** Bytes per micro-batch, all ways, of the tensors of which lanes send or get their share. */
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
  const { classes, count } = slots;
  const nodeSlots = nodeClasses.map((c) => slots.of(c));
  const stateBytes = zeros(count);
  const ownOperations = zeros(count);
  nodeSlots.forEach((slot, i) => {
    const node = start + i;
    stateBytes[slot] += problem.stateBytes[node];
    ownOperations[slot] += operations[node + 1] - operations[node];
  });
  const passesMs = new Float64Array(3 * workers.length * count);
  workers.forEach(({ fixedShare, forwardMs, backwardMs, weightsMs }, w) => {
    const whole = 3 * (w * count + slots.of(WHOLE));
    for (let i = 0; i < nodeSlots.length; i++) {
      const node = start + i;
      const at = 3 * (w * count + nodeSlots[i]);
      // Of what is cut, each lane takes some as if it did the whole.
      const fixed = nodeClasses[i] >= 0 ? fixedShare : 0;
      passesMs[at] += (1 - fixed) * forwardMs[node];
      passesMs[at + 1] += (1 - fixed) * backwardMs[node];
      passesMs[at + 2] += (1 - fixed) * weightsMs[node];
      if (fixed === 0) continue;
      passesMs[whole] += fixed * forwardMs[node];
      passesMs[whole + 1] += fixed * backwardMs[node];
      passesMs[whole + 2] += fixed * weightsMs[node];
    }
  });
  const { amongAll, withOwner } = exchangeLoads(problem, exchanges);
  return {
    classes,
    passesMs,
    stateBytes,
    operations: ownOperations,
    summandSlots: splits.flatMap((split, i) =>
      split === 'summand' ? [nodeSlots[graph.nodes[start + i].inputs[0] - start]] : [],
    ),
    amongAll,
    withOwner,
  };
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
  if (split === 'owner' || split === 'summand') return OWNER;
  if (split === 'copies') return WHOLE;
  return classOfSpace[split === 'rows' ? input.space : output.space];
}

function exchangeLoads({ rows }: Problem, exchanges: readonly Exchange[]) {
  const amongAll: ExchangeLoad = { count: 0, ways: 0, shareBytes: 0, wholeBytes: 0 };
  const withOwner: ExchangeLoad = { count: 0, ways: 0, shareBytes: 0, wholeBytes: 0 };
  for (const { from, to, width, isOneWay } of exchanges) {
    const load = from === 'owner' || to === 'owner' ? withOwner : amongAll;
    const ways = isOneWay ? 1 : 2;
    load.count++;
    load.ways += ways;
    const isShare = from === 'slices' || to === 'slices';
    load[isShare ? 'shareBytes' : 'wholeBytes'] += ways * rows * width * 4;
  }
  return { amongAll, withOwner };
}
