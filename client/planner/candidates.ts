import { beginnings } from './beginnings.ts';
import { objectiveOf, type CostModel, type Tail } from './cost-model.ts';
import { AnyCrew } from './crew-sources.ts';
import { improved, shaken } from './placement.ts';
import { bestTail, type Shape } from './search.ts';

/** Stages of several lanes; stages of one lane; one stage of several lanes; one device. */
export type Kind = 'hybrid' | 'vertical' | 'horizontal' | 'alone';

/** How many stages, and how many lanes each, where that is not open. */
export interface Grid {
  stages: number;
  lanes: number;
}

/** Rooms up to this size are searched through, which takes up to this many tails; models with more products get fewer. */
const SEARCHED_ROOM = 7;
const SEARCHED_PRODUCTS = 6;
const TAILS_MAX = 40_000;
const TAILS_MAX_DEEP = 8_000;

/** How far a search goes. */
interface Effort {
  /** First plans may be that much worse than the best of them: with more stages they have more to gain. */
  promising: number;
  /** Numbers of stages in a row that gave nothing better, after which more are not tried. */
  patience: number;
  /** First plans that are improved, and changes tried for each: many a little, then the best of them further. */
  improved: readonly { count: number; changes: number }[];
  /** The best of those are shaken. */
  shaken: number;
}

const rounds = (many: number, few: number, best: number, more: number) => [
  { count: many, changes: few },
  { count: best, changes: more },
];

const EFFORTS: Readonly<Record<Kind, Effort>> = {
  hybrid: { promising: 1.3, patience: 2, improved: rounds(8, 250, 3, 750), shaken: 3 },
  // One lane each is quick to judge, and order matters more.
  vertical: { promising: 1.5, patience: 3, improved: rounds(10, 150, 4, 250), shaken: 1 },
  horizontal: { promising: 1.5, patience: 1, improved: rounds(4, 150, 2, 250), shaken: 0 },
  alone: { promising: 1, patience: 1, improved: [{ count: 1, changes: 256 }], shaken: 0 },
};

/** Of models with more products than are searched through: a plan must not take longer than a person notices. */
const DEEP_HYBRID: Effort = { promising: 1.3, patience: 2, improved: rounds(6, 200, 3, 600), shaken: 2 };

/** Changes tried after each shift of a cut. */
const SHAKEN_CHANGES = 120;
/** Changes tried for what shaking gave, which is cut short before. */
const LAST_CHANGES = 400;
/** Tails kept after each stage while the first plans are cut. */
const FIRST_WIDTH = 8;
/** Plans predicted to be that much worse than the best are not worth a closer look. */
const WORTH_A_LOOK = 1.25;

/** The best plan for each number of stages that is worth a closer look, best first; none that the model finds worse than `boundMs`. */
export function candidates(model: CostModel, kind: Kind, grid: Grid | null, boundMs = Infinity): Tail[] {
  const shapes = grid
    ? [{ stages: grid.stages, lanesMin: grid.lanes, lanesMax: grid.lanes }]
    : shapesOf(model, kind);
  const isDeep = productsOf(model) > SEARCHED_PRODUCTS;
  const effort = kind === 'hybrid' && isDeep ? DEEP_HYBRID : EFFORTS[kind];
  const found = new Map<number, Tail>();
  const keep = (tail: Tail) => {
    const known = found.get(tail.stages);
    if (!known || objectiveOf(tail) < objectiveOf(known)) found.set(tail.stages, tail);
  };
  const plans = firstPlans(model, shapes, effort, boundMs);
  for (const { count, changes } of effort.improved) {
    for (const plan of plans.slice(0, count)) plan.tail = improved(model, plan.shape, plan.tail, changes);
    plans.sort((a, b) => objectiveOf(a.tail) - objectiveOf(b.tail));
  }
  plans.forEach(({ shape, tail }, i) => {
    if (i >= effort.shaken) keep(tail);
    else keep(improved(model, shape, shaken(model, shape, tail, SHAKEN_CHANGES, !isDeep), LAST_CHANGES));
  });
  const bestMs = () => Math.min(boundMs, ...[...found.values()].map(objectiveOf));
  if (model.problem.workers.length <= SEARCHED_ROOM) {
    const crews = new AnyCrew(model);
    const search = { tailsLeft: isDeep ? TAILS_MAX_DEEP : TAILS_MAX };
    for (const shape of shapes) {
      const better = bestTail(model, shape, crews, { boundMs: bestMs(), effort: search });
      if (better) keep(better);
    }
  }
  return [...found.values()]
    .filter((tail) => objectiveOf(tail) <= bestMs() * WORTH_A_LOOK)
    .sort((a, b) => objectiveOf(a) - objectiveOf(b));
}

function shapesOf(model: CostModel, kind: Kind): Shape[] {
  const { workers } = model.problem;
  const peers = workers.length;
  if (kind === 'alone') return [{ stages: 1, lanesMin: 1, lanesMax: 1 }];
  if (kind === 'horizontal') return peers < 2 ? [] : [{ stages: 1, lanesMin: 2, lanesMax: peers }];
  const lanesMin = kind === 'hybrid' ? 2 : 1;
  const products = productsOf(model);
  const shapes: Shape[] = [];
  for (let stages = 2; stages <= Math.min(products, Math.floor(peers / lanesMin)); stages++) {
    shapes.push({ stages, lanesMin, lanesMax: kind === 'hybrid' ? peers - lanesMin * (stages - 1) : 1 });
  }
  return shapes;
}

const productsOf = ({ problem }: CostModel): number =>
  problem.graph.nodes.filter(({ kind }) => kind === 'linear').length;

/** From several beginnings for each shape, best first. */
function firstPlans(
  model: CostModel,
  shapes: readonly Shape[],
  effort: Effort,
  mostMs: number,
): { shape: Shape; tail: Tail }[] {
  const plans: { shape: Shape; tail: Tail }[] = [];
  let bestMs = Infinity;
  let failures = 0;
  for (const shape of shapes) {
    failures++;
    for (const source of beginnings(model, shape)) {
      const boundMs = Math.min(mostMs, bestMs * effort.promising);
      const tail = bestTail(model, shape, source, { boundMs, widthMax: FIRST_WIDTH });
      if (!tail) continue;
      plans.push({ shape, tail });
      if (objectiveOf(tail) >= bestMs) continue;
      bestMs = objectiveOf(tail);
      failures = 0;
    }
    if ((bestMs < Infinity || mostMs < Infinity) && failures >= effort.patience) break;
  }
  return plans.sort((a, b) => objectiveOf(a.tail) - objectiveOf(b.tail));
}
