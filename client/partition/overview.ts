import type { PeerId } from '../../shared/ids.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { modelGraph, type Node } from '../model/graph.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { BlockOp, Register } from '../ports/compute.ts';
import { passagesOf, programOf } from './exchange.ts';
import { partitionOf, type Boundary, type Partition } from './partition.ts';
import { layersOf } from './stages.ts';

/** A plan as people look at it: who has which part of which layer, and where lanes exchange. */
export interface StageView {
  /** Of which it has any part, in order. */
  layers: string[];
  lanes: LaneView[];
  /** Exchanges between its lanes, in order. */
  inner: BoundaryView[];
  /** What goes to the next stage; null after the last. */
  after: BoundaryView | null;
}

export interface LaneView {
  peer: PeerId;
  isOwner: boolean;
  isDeputy: boolean;
  /** Of the stage's operations, 0..1. */
  share: number;
  /** Numbers of its parameters. */
  parameters: number;
  /** The layers with parameters of which it has any, in order. */
  parts: PartView[];
}

export interface PartView {
  layer: string;
  units: number;
  /** All units of the layer. */
  of: number;
  /** True where the units are those that the layer reads, not those it makes. */
  isByInput: boolean;
}

export interface BoundaryView {
  kind: Boundary['kind'];
  /** The layer whose output crosses; `input` for the model's own. */
  layer: string;
  /** Which lanes send to which, and how much of the tensor, 0..1. */
  flows: { from: number; to: number; share: number }[];
}

/** Looks at the stages of a plan for a model. Throws where they do not fit it. */
export function overviewOf(model: ModelSpec, stages: readonly Stage[]): StageView[] {
  const partition = partitionOf(modelGraph(model), stages);
  return stages.map((stage, index) => {
    const programs = stage.lanes.map((_, lane) => programOf(partition, index, lane));
    const work = programs.map(({ segments }) => segments.reduce((sum, { share }) => sum + share, 0));
    const all = work.reduce((sum, share) => sum + share, 0);
    const own = partition.boundaries.filter((b) => partition.segments[b.index].stage === index);
    const after = own.find(({ isInner }) => !isInner);
    return {
      layers: layersOf(partition.graph, stage),
      lanes: stage.lanes.map((peer, lane) => {
        const { registers, segments } = programs[lane];
        const ops = segments.flatMap((segment) => segment.ops).filter((op) => op.parameters.length > 0);
        return {
          peer,
          isOwner: lane === stage.owner,
          isDeputy: lane === stage.deputy && stage.deputy !== stage.owner,
          share: all > 0 ? work[lane] / all : 1 / stage.lanes.length,
          parameters: ops.reduce((sum, op) => sum + numbersOf(op, registers), 0),
          parts: partsOf(partition, stage, ops, registers),
        };
      }),
      inner: own.filter(({ isInner }) => isInner).map((boundary) => boundaryView(partition, boundary)),
      after: after ? boundaryView(partition, after) : null,
    };
  });
}

function boundaryView(partition: Partition, { index, kind, from, tensor }: Boundary): BoundaryView {
  const flows = passagesOf(partition, index).map(({ range, ...ends }) => ({
    ...ends,
    share: (range[1] - range[0]) / tensor.units,
  }));
  return { kind, layer: from.tensor < 0 ? 'input' : partition.graph.nodes[from.tensor].layer, flows };
}

/** Numbers of an operation's parameters that a lane with these registers has. */
function numbersOf({ parameters, inputs, output }: BlockOp, registers: readonly Register[]): number {
  const held = { input: extentOf(registers[inputs[0]]), output: extentOf(registers[output]) };
  return parameters.reduce((sum, { shape, dimensions }) => {
    const extents = shape.map((extent, i) => {
      const dimension = dimensions[i];
      return dimension ? dimension.outer * held[dimension.by] * dimension.inner : extent;
    });
    return sum + extents.reduce((product, extent) => product * extent, 1);
  }, 0);
}

const extentOf = ({ held: [start, end] }: Register): number => end - start;

/** One entry per layer: its first operation with parameters tells how it is cut. */
function partsOf(
  { graph }: Partition,
  stage: Stage,
  ops: readonly BlockOp[],
  registers: readonly Register[],
): PartView[] {
  const firsts = ops.filter((op, i) => ops.findIndex(({ layer }) => layer === op.layer) === i);
  return firsts.map((op) => {
    const node: Node = graph.nodes[op.node];
    const isByInput = stage.splits[op.node - stage.nodes[0]] === 'rows';
    const register = registers[isByInput ? op.inputs[0] : op.output];
    const { units } = isByInput ? node.input : node.output;
    return { layer: op.layer, units: extentOf(register), of: units, isByInput };
  });
}
