import type { RunConfig } from '../../shared/schema/config.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { partitionOf, type Partition } from '../partition/partition.ts';
import { candidates, type Grid, type Kind } from './candidates.ts';
import { CostModel, objectiveOf, type Tail } from './cost-model.ts';
import { rebalanced } from './placement.ts';
import { paceOf, stagesOf } from './predict.ts';
import type { Problem } from './profile.ts';

/** A plan's stages with what a rehearsal found them to take. */
export interface Option {
  kind: Kind;
  stages: Stage[];
  partition: Partition;
  stepMs: number;
  stageMs: number[];
  /** Step time, and what traffic and risk are worth: less is better. */
  scoreMs: number;
}

/** Plans of each kind that are rehearsed before one is chosen. */
const REHEARSED: Readonly<Record<Kind, number>> = { hybrid: 3, vertical: 2, horizontal: 2, alone: 1 };
/** A kind of plan is only looked at where the cost model finds it within this of the best of other kinds: it may err by so much. */
const CLOSE = 1.3;
/** `auto` takes a pure shape only where a hybrid would take more than this times as long. */
const HYBRID_WORTH = 1.1;

/** Rehearsed plans of the kinds that the run allows, best first; none where nothing fits into the room. */
export function optionsFor(problem: Problem, { partition, grid }: RunConfig): Option[] {
  const model = new CostModel(problem);
  for (const wishes of wishesInTurn(problem, partition, grid)) {
    const options: Option[] = [];
    let mostMs = Infinity;
    for (const wish of wishes) {
      const found = candidates(model, wish.kind, wish.grid, mostMs);
      if (found.length > 0) mostMs = Math.min(mostMs, objectiveOf(found[0]) * CLOSE);
      options.push(
        ...found.slice(0, REHEARSED[wish.kind]).flatMap((tail) => rehearsed(model, wish.kind, tail)),
      );
    }
    if (options.length > 0) return options.sort((a, b) => a.scoreMs - b.scoreMs);
  }
  return [];
}

interface Wish {
  kind: Kind;
  grid: Grid | null;
}

/**
 * What to try, and what else where nothing of that is possible: a room that has become too small trains on in another shape. The pure
 * shapes are the yardsticks that a hybrid is held against, so they take everybody, as far as that goes.
 */
function wishesInTurn(
  { workers, graph }: Problem,
  partition: RunConfig['partition'],
  grid: Grid | null,
): Wish[][] {
  if (grid) return [[{ kind: kindOf(grid), grid }]];
  const free = (kind: Kind): Wish => ({ kind, grid: null });
  const counted = (most: number, kind: Kind, gridOf: (count: number) => Grid): Wish[][] =>
    Array.from({ length: Math.max(0, most - 1) }, (_, i) => [{ kind, grid: gridOf(most - i) }]);
  const products = graph.nodes.filter((node) => node.kind === 'linear').length;
  const asked: Record<RunConfig['partition'], () => Wish[][]> = {
    auto: () => [],
    hybrid: () => [[free('hybrid')]],
    vertical: () =>
      counted(Math.min(workers.length, products), 'vertical', (stages) => ({ stages, lanes: 1 })),
    horizontal: () => counted(workers.length, 'horizontal', (lanes) => ({ stages: 1, lanes })),
  };
  const shared = (['hybrid', 'horizontal', 'vertical'] as const).map(free);
  // One device alone is no room: it is what is left.
  return [...asked[partition](), shared, [free('alone')]];
}

export function kindOf({ stages, lanes }: Grid): Kind {
  if (lanes > 1) return stages > 1 ? 'hybrid' : 'horizontal';
  return stages > 1 ? 'vertical' : 'alone';
}

/** The plan as it is, or with units by each stage's own speeds; none where parts find no link. */
function rehearsed(model: CostModel, kind: Kind, tail: Tail): Option[] {
  const option = optionOf(model, kind, tail);
  const other = rebalanced(model, tail);
  const again = other === tail ? option : optionOf(model, kind, other);
  const better = again.scoreMs < option.scoreMs ? again : option;
  return better.scoreMs < Infinity ? [better] : [];
}

function optionOf({ problem }: CostModel, kind: Kind, tail: Tail): Option {
  const stages = stagesOf(problem, tail);
  const partition = partitionOf(problem.graph, stages);
  const { stepMs, stageMs } = paceOf(problem, partition);
  return { kind, stages, partition, stepMs, stageMs, scoreMs: stepMs + tail.extraMs };
}

/** The option that the run's rule takes: the best, but under `auto` a hybrid unless a pure shape is much faster. */
export function chosenFrom(options: readonly Option[], partition: RunConfig['partition']): Option {
  const [best] = options;
  const hybrid = options.find(({ kind }) => kind === 'hybrid');
  return partition === 'auto' && hybrid && hybrid.stepMs <= HYBRID_WORTH * best.stepMs ? hybrid : best;
}
