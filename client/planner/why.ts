import type { RunConfig } from '../../shared/schema/config.ts';
import { cutsOf } from './cuts.ts';
import type { Kind } from './candidates.ts';
import type { Option } from './choice.ts';
import { memoryMessage } from './need.ts';
import type { Problem } from './profile.ts';

/** Why this plan and none of the others, for people. */
export function whyChosen(
  problem: Problem,
  chosen: Option,
  options: readonly Option[],
  { partition, grid }: RunConfig,
): string {
  const sentences = [`${nameOf(chosen)}: ${show(chosen.stepMs)} ms a step predicted.`];
  const peers = problem.workers.length;
  const best = (kind: Kind) => options.find((option) => option.kind === kind);
  const hybrid = best('hybrid');
  if (grid) sentences.push(`A grid of ${grid.stages}x${grid.lanes} was asked for.`);
  else if (partition === chosen.kind) sentences.push(`A ${partition} partition was asked for.`);
  else if (peers === 1) sentences.push('There is one peer, which holds the whole model.');
  else if (partition !== 'auto')
    sentences.push(`No ${partition} partition is possible: ${obstacle(problem, partition)}.`);
  else if (!hybrid) sentences.push(`No hybrid is possible: ${obstacle(problem, 'hybrid')}.`);
  else if (chosen.kind !== 'hybrid') sentences.push(`The best hybrid would take ${slower(hybrid, chosen)}.`);
  else if (options[0].kind !== 'hybrid') {
    sentences.push(
      `${nameOf(options[0])}, would be hardly faster (${show(options[0].stepMs)} ms) and more fragile.`,
    );
  }
  for (const kind of ['vertical', 'horizontal'] as const) {
    const other = best(kind);
    if (!other || kind === chosen.kind || other === options[0]) continue;
    sentences.push(`${nameOf(other)}, would take ${slower(other, chosen)}.`);
  }
  const standby = peers - chosen.stages.reduce((sum, { lanes }) => sum + lanes.length, 0);
  if (standby > 0 && !grid) {
    sentences.push(
      `${standby === 1 ? 'One peer stands' : `${standby} peers stand`} by: it is no faster with more.`,
    );
  }
  return sentences.join(' ');
}

/** Why a runner-up lost. */
export function whyLost(option: Option, chosen: Option): string {
  const ratio = option.stepMs / chosen.stepMs;
  if (option.stepMs < chosen.stepMs) {
    return option.kind === chosen.kind
      ? `${percent(1 / ratio)} faster, but more traffic or more at risk`
      : `${percent(1 / ratio)} faster: a hybrid is preferred up to 10%`;
  }
  return ratio < 1.005 ? 'as fast, but more traffic or more at risk' : `${percent(ratio)} slower`;
}

/** `Hybrid, 2 stages of 3 and 2 lanes`. */
export function nameOf({ kind, stages }: Pick<Option, 'kind' | 'stages'>): string {
  const lanes = stages.map((stage) => stage.lanes.length);
  switch (kind) {
    case 'alone':
      return 'One device alone';
    case 'vertical':
      return `Vertical, ${stages.length} stages of whole layers`;
    case 'horizontal':
      return `Horizontal, one stage of ${lanes[0]} lanes`;
    case 'hybrid':
      return `Hybrid, ${stages.length} stages of ${listed(lanes.map(String))} lanes`;
  }
}

/** What to say where no plan was found. */
export function whyNone(problem: Problem, { grid, partition }: RunConfig): string {
  const { workers, graph } = problem;
  const peers = workers.length;
  const wanted = grid ? `A grid of ${grid.stages}x${grid.lanes}` : `A ${partition} partition`;
  if (grid && grid.stages * grid.lanes > peers) {
    return `${wanted} needs ${grid.stages * grid.lanes} peers; here ${peers === 1 ? 'is 1' : `are ${peers}`}.`;
  }
  const most = stagesMax(problem, grid?.lanes ?? 1);
  if (grid && grid.stages > most) {
    return `${wanted} needs a model that can be cut into ${grid.stages} stages; ${graph.model.name} can into ${most}.`;
  }
  if (problem.hasBudgets) return memoryMessage(problem);
  if (grid && grid.lanes > 1 && fewUnits(problem, grid.lanes)) {
    return `${wanted} has more lanes than some stage has units to share out. Ask for fewer lanes.`;
  }
  return `${grid ? wanted : 'A plan'} needs peers that are linked with one another, and too few of these are. Wait until more links are up, or let some peers leave.`;
}

/** Why a room cannot have a partition of that kind. */
function obstacle(problem: Problem, kind: Kind): string {
  const peers = problem.workers.length;
  const least = kind === 'hybrid' ? 4 : 2;
  if (peers < least) return `it needs ${least} peers, and here ${peers === 1 ? 'is 1' : `are ${peers}`}`;
  if (kind !== 'horizontal' && stagesMax(problem, least / 2) < 2) {
    return `${problem.graph.model.name} cannot be cut into two stages`;
  }
  return problem.hasBudgets
    ? 'its pieces do not fit the memory that peers give'
    : 'too few peers are linked with one another';
}

function stagesMax({ graph }: Problem, lanes: number): number {
  const cuts = cutsOf(graph).filter(({ isAfterProduct }) => lanes > 1 || !isAfterProduct);
  let stages = 1;
  let from = 0;
  // Each stage has a product of its own.
  for (const { at } of [...cuts, { at: graph.nodes.length }]) {
    if (!graph.nodes.slice(from, at).some(({ kind }) => kind === 'linear')) continue;
    if (at < graph.nodes.length) stages++;
    from = at;
  }
  const hasRest = graph.nodes.slice(from).some(({ kind }) => kind === 'linear');
  return from === graph.nodes.length || hasRest ? stages : stages - 1;
}

const fewUnits = ({ unitCounts }: Problem, lanes: number): boolean =>
  unitCounts.some((units) => units < lanes);

const slower = ({ stepMs }: Option, chosen: Option): string =>
  `${show(stepMs)} ms${stepMs > chosen.stepMs * 1.005 ? `, ${percent(stepMs / chosen.stepMs)} more` : ''}`;

/** What a ratio adds. */
const percent = (ratio: number): string => `${Math.round(100 * (ratio - 1))}%`;

const show = (ms: number): string => String(Number(ms.toPrecision(ms < 100 ? 2 : 3)));

const listed = (items: readonly string[]): string =>
  items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items[items.length - 1]}`;
