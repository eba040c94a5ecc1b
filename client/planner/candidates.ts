import { chained, beginnings } from './beginnings.ts';
import { objectiveOf, type CostModel, type Tail } from './cost-model.ts';
import { AnyCrew, SameCrews } from './crew-sources.ts';
import { improved } from './placement.ts';
import { bestTail, CrewsInOrder, type Shape } from './search.ts';

/** Stages of several lanes; stages of one lane; one stage of several lanes; one device. */
export type Kind = 'hybrid' | 'vertical' | 'horizontal' | 'alone';

/** How many stages, and how many lanes each, where that is not open. */
export interface Grid {
  stages: number;
  lanes: number;
}

/** Rooms up to this size are searched through; `TAILS_MAX` keeps that short for deep models. */
const SEARCHED_ROOM = 7;
const TAILS_MAX = 60_000;
/** Tails kept while the first plan for given crews is cut. */
const E = JSON.parse(process.env.STRAT ?? '{}');
const FIRST_WIDTH = E.fw ?? 24;
/** Changes tried from each of the most promising beginnings. */
const BEGINNINGS_IMPROVED = E.bi ?? 2;
const CHANGES_TRIED = E.ct ?? 600;
/** Plans predicted to be that much worse than the best are not worth a closer look. */
const WORTH_A_LOOK = 1.25;
/** Numbers of stages in a row that were not worth a look, after which more are not tried. */
const PATIENCE = 2;

/** The best plan for each number of stages that is worth a closer look, best first. */
export function candidates(model: CostModel, kind: Kind, grid: Grid | null): Tail[] {
  const found: Tail[] = [];
  let bestMs = Infinity;
  let failures = 0;
  for (const shape of shapesOf(model, kind, grid)) {
    const tail = roughlyBest(model, shape, bestMs * WORTH_A_LOOK);
    if (tail) found.push(tail);
    if (tail && objectiveOf(tail) < bestMs) {
      bestMs = objectiveOf(tail);
      failures = 0;
    } else if (bestMs < Infinity && ++failures === PATIENCE) break;
  }
  if (model.problem.workers.length <= SEARCHED_ROOM) {
    const crews = new AnyCrew(model);
    for (const shape of shapesOf(model, kind, grid)) {
      const better = bestTail(model, shape, crews, { boundMs: bestMs, tailsMax: TAILS_MAX });
      if (!better) continue;
      bestMs = objectiveOf(better);
      const at = found.findIndex(({ stages }) => stages === shape.stages);
      found.splice(at < 0 ? found.length : at, at < 0 ? 0 : 1, better);
    }
  }
  return found
    .filter((tail) => objectiveOf(tail) <= bestMs * WORTH_A_LOOK)
    .sort((a, b) => objectiveOf(a) - objectiveOf(b));
}

function shapesOf(model: CostModel, kind: Kind, grid: Grid | null): Shape[] {
  if (grid) return [{ stages: grid.stages, lanesMin: grid.lanes, lanesMax: grid.lanes }];
  const { workers, graph } = model.problem;
  const peers = workers.length;
  if (kind === 'alone') return [{ stages: 1, lanesMin: 1, lanesMax: 1 }];
  if (kind === 'horizontal') return peers < 2 ? [] : [{ stages: 1, lanesMin: 2, lanesMax: peers }];
  const lanesMin = kind === 'hybrid' ? 2 : 1;
  const products = graph.nodes.filter((node) => node.kind === 'linear').length;
  const shapes: Shape[] = [];
  for (let stages = 2; stages <= Math.min(products, Math.floor(peers / lanesMin)); stages++) {
    shapes.push({ stages, lanesMin, lanesMax: kind === 'hybrid' ? peers - lanesMin * (stages - 1) : 1 });
  }
  return shapes;
}

/** From several beginnings, improved by small changes. */
function roughlyBest(model: CostModel, shape: Shape, boundMs: number): Tail | null {
  const first = beginnings(model.problem, shape).slice(0, E.nb ?? 4).flatMap((groups) => {
    const tail = bestTail(model, shape, new SameCrews(model, groups), { widthMax: FIRST_WIDTH, boundMs: boundMs });
    return tail ?? [];
  });
  if (E.od) for (const order of orders(model.problem).slice(0, E.od)) {
    const tail = bestTail(model, shape, new CrewsInOrder(model, order, kind2(shape) ? 1 : Math.max(1, Math.floor(order.length / E.bd))), { widthMax: E.ow, boundMs });
    if (tail) first.push(tail);
  }
  first.sort((a, b) => objectiveOf(a) - objectiveOf(b));
  let best: Tail | null = null;
  for (const tail of first.slice(0, BEGINNINGS_IMPROVED)) {
    const better = improved(model, shape, tail, CHANGES_TRIED);
    if (objectiveOf(better) < (best ? objectiveOf(best) : boundMs)) best = better;
  }
  return best;
}

const kind2 = (s: Shape) => s.lanesMax === 1;
const orders = (p: any): number[][] => { const all = p.workers.map((_: any, i: number) => i); const sn: number[] = []; for (let i = 0, j = all.length - 1; i <= j; i++, j--) { sn.push(i); if (j > i) sn.push(j); } return [all, chained(p, all), sn]; };
