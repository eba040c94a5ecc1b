import { hashText } from '../../shared/counter-random.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { UnitRange } from '../../shared/model.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan, StageCaps } from '../../shared/schema/plan.ts';
import type { Task } from '../data/tasks.ts';
import { modelGraph, widthOf, type TensorShape } from '../model/graph.ts';
import { passagesBack, passagesOf, programOf, type Passage } from '../partition/exchange.ts';
import { partitionOf, type Partition } from '../partition/partition.ts';
import { headOf } from '../partition/stages.ts';
import type { BlockSpec } from '../ports/compute.ts';
import { capsOf, isAlone } from './schedule.ts';

/** One lane on the other side of a boundary: whom parts go to, or from whom they come. */
export interface LaneEnd {
  peer: PeerId;
  lane: number;
  /** Positions that pass between that lane and this one. */
  range: UnitRange;
}

/** One boundary as a block sees it from one side. */
export interface BoundaryView {
  /** Its index in the partition. */
  index: number;
  shape: TensorShape;
  /** Positions of the tensor that this block has on its side. */
  held: UnitRange;
  ends: LaneEnd[];
}

/** The same in training, there and back. */
export interface BoundarySide extends BoundaryView {
  /** The lanes with which gradients are exchanged: all of them, or only this one where each makes the loss by itself. */
  gradientEnds: LaneEnd[];
}

/** What a block does between two boundaries. */
export interface SegmentView {
  /** Its index in the block. */
  index: number;
  /** True where the input is samples. */
  takesSamples: boolean;
  /** True where it ends in the loss. */
  endsModel: boolean;
  /** True where the parts of several lanes add up to its input: one that is missing leaves hidden units out, not inputs. */
  isSum: boolean;
  /** True where somebody waits for the gradient of its input, or nobody for anything, and there are weights whose gradients can wait meanwhile. */
  defers: boolean;
  /** Towards the inputs; null where nothing comes in from there. */
  before: BoundarySide | null;
  /** Towards the loss; null where nothing leaves. */
  after: BoundarySide | null;
}

/** What the plan asks of one peer; everything is derived from the plan, nothing is kept beside it. */
export interface Assignment {
  stage: number;
  stages: number;
  lane: number;
  block: BlockSpec;
  /** The segments in which this lane has something to do, in order. */
  segments: SegmentView[];
  /** True for the peer whose word counts when the model is tested. */
  isHead: boolean;
  /** Micro-batches that may be under way here. */
  caps: StageCaps;
  /** Most that may be between forward and input gradient at any stage. */
  inFlightMost: number;
  /** Numbers of one sample at the widest boundary. */
  widestBoundary: number;
}

/** Names a plan in frame headers, so that frames of another coordinator's plan with equal numbers are fenced too. */
export const planTag = (plan: Plan): number =>
  hashText(`${plan.term.counter}/${plan.term.peer}/${plan.run}/${plan.version}`);

const partitions = new WeakMap<Plan, Partition>();

/** How a plan cuts the model of its run. Throws one line where it does not fit. */
export function partitionOfPlan(plan: Plan, config: RunConfig): Partition {
  let partition = partitions.get(plan);
  if (!partition) partitions.set(plan, (partition = partitionOf(modelGraph(config.model), plan.stages)));
  return partition;
}

/** The peers that make the loss, the one that tests the model first: every lane of the last stage, or its owner alone. */
export function headsOf(plan: Plan, config: RunConfig): PeerId[] {
  const head = headOf(plan.stages);
  const isShared = partitionOfPlan(plan, config).boundaries.at(-1)?.isOneWay ?? false;
  return isShared ? [head, ...plan.stages.at(-1)!.lanes.filter((peer) => peer !== head)] : [head];
}

/** The block that `peer` holds under `plan`; null where it stands by. */
export function assignmentOf(
  plan: Plan,
  config: RunConfig,
  task: Pick<Task, 'normalisation'>,
  peer: PeerId,
): Assignment | null {
  const stage = plan.stages.findIndex(({ lanes }) => lanes.includes(peer));
  if (stage < 0) return null;
  const lane = plan.stages[stage].lanes.indexOf(peer);
  const partition = partitionOfPlan(plan, config);
  const { registers, segments, indices } = programOf(partition, stage, lane);
  const held = (register: number) => registers[register].held;
  const caps = capsOfPlan(plan, partition, config);
  const isMerging = isAlone(partition) && caps[0].kept > caps[0].inFlight;
  const views = segments.map(({ input, ops, output }, i): SegmentView | null => {
    if (input === null && ops.length === 0 && output === null) return null;
    const index = indices[i];
    const takesSamples = index === 0 && input !== null;
    return {
      index: i,
      takesSamples,
      endsModel: index === partition.segments.length - 1,
      isSum: input !== null && index > 0 && partition.boundaries[index - 1].kind === 'reduce',
      defers:
        isMerging || (!takesSamples && input !== null && ops.some(({ parameters }) => parameters.length > 0)),
      before: takesSamples || input === null ? null : viewBefore(partition, index - 1, lane, held(input)),
      after: output === null ? null : viewAfter(partition, index, lane, held(output)),
    };
  });
  const busy = views.filter((view) => view !== null);
  return {
    stage,
    stages: plan.stages.length,
    lane,
    isHead: headOf(plan.stages) === peer,
    block: {
      seed: config.seed,
      registers,
      segments,
      orders: plan.orders,
      optimizer: config.optimizer,
      input: stage === 0 ? { kind: 'samples', normalisation: task.normalisation } : { kind: 'activations' },
      head: busy.some(({ endsModel }) => endsModel),
      rows: config.batch / config.microBatches,
    },
    segments: busy,
    caps: caps[stage],
    inFlightMost: Math.max(...caps.map(({ inFlight }) => inFlight)),
    widestBoundary: Math.max(0, ...partition.boundaries.map(({ tensor }) => widthOf(tensor))),
  };
}

/** Micro-batches that each stage may have under way, by the plan or by the schedule alone. */
export const capsOfPlan = ({ caps, stages }: Plan, partition: Partition, config: RunConfig): StageCaps[] =>
  caps ?? stages.map((_, stage) => capsOf(partition, stage, config));

function viewBefore(partition: Partition, index: number, lane: number, held: UnitRange): BoundarySide {
  const { lanes } = partition.stages[partition.segments[index].stage];
  const endsOf = (passages: readonly Passage[]) =>
    passages
      .filter(({ to }) => to === lane)
      .map(({ from, range }): LaneEnd => ({ peer: lanes[from], lane: from, range }));
  return viewOf(partition, index, held, endsOf);
}

function viewAfter(partition: Partition, index: number, lane: number, held: UnitRange): BoundarySide {
  const { lanes } = partition.stages[partition.segments[index + 1].stage];
  const endsOf = (passages: readonly Passage[]) =>
    passages
      .filter(({ from }) => from === lane)
      .map(({ to, range }): LaneEnd => ({ peer: lanes[to], lane: to, range }));
  return viewOf(partition, index, held, endsOf);
}

function viewOf(
  partition: Partition,
  index: number,
  held: UnitRange,
  endsOf: (passages: readonly Passage[]) => LaneEnd[],
): BoundarySide {
  const { tensor: shape } = partition.boundaries[index];
  const ends = endsOf(passagesOf(partition, index));
  return { index, shape, held, ends, gradientEnds: endsOf(passagesBack(partition, index)) };
}

/**
 * Why a plan cannot be followed, as one line; null where it can. The schema has checked its fields, this checks that it
 * fits the model: every node once and in order, all units covered once, one loss.
 */
export function planComplaint(plan: Plan, config: RunConfig): string | null {
  if (plan.startStep > plan.endStep || plan.endStep > config.steps)
    return 'it starts or ends after the last step';
  if (plan.caps && plan.caps.length !== plan.stages.length) return 'it does not bound each of its stages';
  if (plan.caps?.some(({ inFlight, kept }) => inFlight > kept))
    return 'micro-batches would wait for a gradient that are not kept';
  try {
    const { graph } = partitionOfPlan(plan, config);
    for (const { space, units } of plan.orders) {
      const wanted = graph.spaces[space]?.units;
      if (units.length !== wanted || graph.spaces[space].pinned)
        return `the units of space ${space} have no such order`;
      if (new Set(units).size !== wanted || units.some((unit) => unit >= wanted))
        return `the order of space ${space} does not name each unit once`;
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return null;
}
