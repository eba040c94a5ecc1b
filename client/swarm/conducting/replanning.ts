import type { PeerId } from '../../../shared/ids.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { modelGraph } from '../../model/graph.ts';
import { counted } from './wording.ts';

/** Layers that are named. */
const NAMED = 6;

const ORDERED: Readonly<Record<NonNullable<RunConfig['ordering']>, string>> = {
  importance: 'in order of importance',
  random: 'in random order',
  reverse: 'in reverse order of importance',
};

/** What a plan changed that took the place of another in the middle of a run, for people. */
export function describeReplan(
  before: Plan,
  after: Plan,
  config: RunConfig,
  nameOf: (peer: PeerId) => string,
): string {
  const clauses = [
    orderText(after, config, nameOf),
    `${show(after.predicted.stepMs)} ms a step predicted, ${show(before.predicted.stepMs)} ms by the plan before`,
  ];
  return `Re-planned at step ${after.startStep}: ${clauses.join('; ')}.`;
}

function orderText({ stages, orders }: Plan, config: RunConfig, nameOf: (peer: PeerId) => string): string {
  if (stages.every(({ lanes }) => lanes.length === 1))
    return 'no stage has lanes that units could be ordered for';
  if (orders.length === 0) return 'units stay in their order, because their importance is not known yet';
  const { ordering = 'importance' } = config;
  const { spaces } = modelGraph(config.model);
  const layers = orders.map(({ space }) => spaces[space].layer);
  const whose = layers.length > NAMED ? counted(layers.length, 'layer') : layers.join(', ');
  const ordered = `units of ${whose} are ${ORDERED[ordering]}`;
  if (ordering !== 'importance') return ordered;
  // The first positions are the first lane's.
  const first = stages.filter(({ lanes }) => lanes.length > 1).map(({ lanes }) => nameOf(lanes[0]));
  return `${ordered}, the most important ones at ${first.join(', ')}`;
}

const show = (ms: number): string => String(Number(ms.toPrecision(ms < 100 ? 2 : 3)));
