import { hashText } from '../../shared/counter-random.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { modelShapes, sizeOf } from '../model/shapes.ts';
import type { Task } from '../data/tasks.ts';
import type { BlockSpec } from '../ports/compute.ts';

/** One lane on the other side of a boundary: whom to send to, or from whom a part may come. */
export interface LaneEnd {
  peer: PeerId;
  lane: number;
}

/** One boundary as a block sees it. */
export interface BoundaryView {
  /** Its index in the plan: boundary i lies between stages i and i + 1. */
  index: number;
  /** Numbers per sample of one part. */
  width: number;
  lanes: LaneEnd[];
}

/** What the plan asks of one peer; everything is derived from the plan, nothing is kept beside it. */
export interface Assignment {
  stage: number;
  stages: number;
  lane: number;
  block: BlockSpec;
  /** Towards the inputs; null at the first stage. */
  before: BoundaryView | null;
  /** Towards the loss; null at the last stage. */
  after: BoundaryView | null;
  /** Micro-batches that may be in flight here (1F1B: S - s, and one more to cover the way there and back). */
  inFlightMax: number;
}

/** Names a plan in frame headers, so that frames of another coordinator's plan with equal numbers are fenced too. */
export const planTag = (plan: Plan): number =>
  hashText(`${plan.term.counter}/${plan.term.peer}/${plan.run}/${plan.version}`);

/** The block that `peer` holds under `plan`; null where it stands by. */
export function assignmentOf(plan: Plan, config: RunConfig, task: Task, peer: PeerId): Assignment | null {
  const stage = plan.stages.findIndex(({ lanes }) => lanes.some((lane) => lane.peer === peer));
  if (stage < 0) return null;
  const lane = plan.stages[stage].lanes.findIndex((candidate) => candidate.peer === peer);
  const shapes = modelShapes(config.model);
  const operations = shapes.reduce((sum, shape) => sum + shape.operations, 0);
  const held = shapes.filter((shape) => plan.stages[stage].layers.includes(shape.spec.name));
  const last = plan.stages.length - 1;
  const rows = config.batch / config.microBatches;
  return {
    stage,
    stages: plan.stages.length,
    lane,
    block: {
      seed: config.seed,
      layers: held.map((shape) => ({
        spec: shape.spec,
        inputShape: shape.inputShape,
        outputShape: shape.outputShape,
        units: plan.stages[stage].lanes[lane].units[shape.spec.name],
      })),
      optimizer: config.optimizer,
      input: stage === 0 ? { kind: 'samples', normalisation: task.normalisation } : { kind: 'activations' },
      head: stage === last,
      rows,
      share: held.reduce((sum, shape) => sum + shape.operations, 0) / operations,
    },
    before: stage > 0 ? boundaryView(plan, stage - 1, stage - 1, sizeOf(held[0].inputShape)) : null,
    after: stage < last ? boundaryView(plan, stage, stage + 1, sizeOf(held.at(-1)!.outputShape)) : null,
    inFlightMax: stage === last ? 1 : Math.min(config.microBatches, plan.stages.length - stage + 1),
  };
}

function boundaryView(plan: Plan, index: number, otherStage: number, width: number): BoundaryView {
  return { index, width, lanes: plan.stages[otherStage].lanes.map(({ peer }, lane) => ({ peer, lane })) };
}

/**
 * Why a plan cannot be followed, as one line; null where it can. The schema has checked its fields, this checks that it
 * fits the model: every layer once and in order, all units covered once, boundaries as wide as what crosses them.
 */
export function planComplaint(plan: Plan, config: RunConfig): string | null {
  const shapes = modelShapes(config.model);
  const order = plan.stages.flatMap((stage) => stage.layers);
  if (order.join('\n') !== shapes.map((shape) => shape.spec.name).join('\n')) {
    return 'its stages do not hold the layers of the model once, in order';
  }
  if (plan.boundaries.length !== plan.stages.length - 1) return 'it has not one boundary between two stages';
  const holders = plan.stages.flatMap((stage) => stage.lanes.map((lane) => lane.peer));
  if (new Set(holders).size !== holders.length) return 'a peer holds two blocks';
  if (plan.startStep > plan.endStep || plan.endStep > config.steps)
    return 'it starts or ends after the last step';
  const byName = new Map(shapes.map((shape) => [shape.spec.name, shape]));
  for (const [s, stage] of plan.stages.entries()) {
    if (stage.lanes.length !== 1) return `stage ${s} has several lanes, which this version cannot train`;
    for (const layer of stage.layers) {
      const [start, end] = stage.lanes[0].units[layer] ?? [0, 0];
      if (start !== 0 || end !== byName.get(layer)!.outputShape.at(-1))
        return `not all units of ${layer} are held`;
    }
    if (s > 0 && plan.boundaries[s - 1].width !== sizeOf(byName.get(stage.layers[0])!.inputShape)) {
      return `boundary ${s - 1} is not as wide as what crosses it`;
    }
  }
  return null;
}
