import type { Split, Stage } from '../../shared/schema/plan.ts';
import type { UnitRange } from '../../shared/model.ts';
import { tensorOf, type ModelGraph, type Node, type TensorShape } from '../model/graph.ts';
import { boundaryKind, isLocal, LAYOUTS, spreadKey, type Layout } from './layout.ts';

/** A tensor as it lies over the lanes of one stage. */
export interface Spread {
  /** The node that made it; -1 for the model's input. */
  tensor: number;
  layout: Layout;
}

/** One node at work in a stage, on tensors that are there. */
export interface Work {
  node: Node;
  inputs: Spread[];
  output: Spread;
}

/** What the lanes of a stage compute between two boundaries. */
export interface Segment {
  index: number;
  stage: number;
  /** Null only for the model's first segment, which gets samples as copies. */
  entry: Spread | null;
  works: Work[];
  /** What crosses the boundary after; null at the end of the model. */
  exit: Spread | null;
}

/** Where lanes exchange: boundary i lies after segment i. */
export interface Boundary {
  index: number;
  kind: 'slice' | 'gather' | 'reduce';
  tensor: TensorShape;
  from: Spread;
  to: Spread;
  /** True where it lies inside a stage. */
  isInner: boolean;
  /** True where each lane beyond makes the loss of its own copy: gradients pass within each lane alone. */
  isOneWay: boolean;
}

/** A model cut over stages and lanes: what follows from a plan's stages. */
export interface Partition {
  graph: ModelGraph;
  stages: readonly Stage[];
  segments: Segment[];
  boundaries: Boundary[];
}

/** Cuts a model as the stages say. Throws one line, without a full stop, where they do not fit it. */
export function partitionOf(graph: ModelGraph, stages: readonly Stage[]): Partition {
  checkStages(graph, stages);
  const partition: Partition = { graph, stages, segments: [], boundaries: [] };
  let entering: Spread | null = null;
  stages.forEach((stage, index) => {
    entering = cutStage(partition, index, stage, entering);
  });
  const { layout } = entering!;
  if (layout === 'copies') shareLoss(partition);
  else if (layout !== 'owner') throw new Error('the loss is neither at one owner nor on every lane');
  return partition;
}

/** The positions of `spread`'s units that a lane of `stage` has; null for none. */
export function heldBy(
  partition: Partition,
  stage: number,
  lane: number,
  { tensor, layout }: Spread,
): UnitRange | null {
  const { units, space } = tensorOf(partition.graph, tensor);
  const { owner, slicings } = partition.stages[stage];
  if (layout === 'owner') return lane === owner ? [0, units] : null;
  if (layout !== 'slices') return [0, units];
  const { cuts } = slicings.find((slicing) => slicing.space === space)!;
  return cuts[lane] < cuts[lane + 1] ? [cuts[lane], cuts[lane + 1]] : null;
}

/** How a node lies in a stage; undefined where it is not there. */
const splitOf = ({ nodes: [start], splits }: Stage, node: Node | undefined): Split | undefined =>
  node && splits.at(node.index < start ? splits.length : node.index - start);

/** The lane that adds a bias to its summand: the owner, or the first that has one. */
export function adderOf({ graph, stages }: Partition, stage: number, { inputs: [product] }: Node): number {
  const { owner, slicings } = stages[stage];
  const { cuts } = slicings.find(({ space }) => space === graph.nodes[product].input.space)!;
  return cuts[owner] < cuts[owner + 1] ? owner : cuts.findIndex((cut, lane) => cut < cuts[lane + 1]);
}

/** Walks the nodes of a stage; wherever a tensor is needed in another layout than it is in, a boundary begins a new segment. */
function cutStage(partition: Partition, index: number, stage: Stage, entering: Spread | null): Spread {
  const { graph, segments, boundaries } = partition;
  const here = new Set<number>();
  let segment: Segment | null = null;
  const open = (entry: Spread | null): Segment => {
    const opened: Segment = { index: segments.length, stage: index, entry, works: [], exit: null };
    segments.push(opened);
    return opened;
  };
  const cross = (from: Spread, to: Spread, isInner: boolean) => {
    segments.at(-1)!.exit = from;
    const tensor = tensorOf(graph, from.tensor);
    boundaries.push({
      index: boundaries.length,
      kind: boundaryKind(from.layout, to.layout),
      tensor,
      from,
      to,
      isInner,
      isOneWay: false,
    });
    segment = open(to);
    here.add(spreadKey(to.tensor, to.layout));
  };
  if (!entering) {
    segment = open(null);
    here.add(spreadKey(-1, 'copies'));
  }
  const obtain = (tensor: number, layout: Layout): Spread => {
    const wanted: Spread = { tensor, layout };
    if (here.has(spreadKey(tensor, layout))) return wanted;
    if (here.has(spreadKey(tensor, 'copies')) && isLocal('copies', layout)) return wanted;
    if (entering?.tensor === tensor && segment === null) {
      cross(entering, wanted, false);
      return wanted;
    }
    const found = (['slices', 'owner', 'copies', 'partial'] as const).find((from) =>
      here.has(spreadKey(tensor, from)),
    );
    if (!found) throw new Error(`node ${tensor} is read in a stage that it does not reach`);
    cross({ tensor, layout: found }, wanted, true);
    return wanted;
  };
  const [start, end] = stage.nodes;
  for (const node of graph.nodes.slice(start, end)) {
    const { reads, writes } = LAYOUTS[stage.splits[node.index - start]];
    // All exchanges come first: what one of them brings stays for the node.
    for (const input of node.inputs) obtain(input, reads);
    const inputs = node.inputs.map((input) => obtain(input, reads));
    const output: Spread = { tensor: node.index, layout: writes };
    segments.at(-1)!.works.push({ node, inputs, output });
    here.add(spreadKey(node.index, writes));
  }
  const { output } = segments.at(-1)!.works.at(-1)!;
  // At the end of the model every lane completes the sums for itself.
  return end === graph.nodes.length && output.layout === 'partial' ? obtain(output.tensor, 'copies') : output;
}

/** Every lane of the last stage makes the loss of its own copy. Throws where the gradient of that would not be all that its inputs get. */
function shareLoss({ segments, boundaries }: Partition): void {
  const { works } = segments.at(-1)!;
  const boundary = boundaries.at(-1);
  const own = new Set(boundary?.isInner && boundary.to.layout === 'copies' ? [boundary.to.tensor] : []);
  for (const { node, inputs, output } of works) {
    if (output.layout === 'copies' && inputs.every(({ tensor }) => own.has(tensor))) own.add(node.index);
    else own.clear();
  }
  if (!boundary || own.size === 0)
    throw new Error('the loss is on every lane, but not all that it is made of');
  boundary.isOneWay = true;
}

function checkStages(graph: ModelGraph, stages: readonly Stage[]): void {
  let at = 0;
  for (const [s, stage] of stages.entries()) {
    const [start, end] = stage.nodes;
    if (start !== at || end <= start || end > graph.nodes.length)
      throw new Error('its stages do not hold the nodes of the model once, in order');
    at = end;
    const lanes = stage.lanes.length;
    if (stage.splits.length !== end - start) throw new Error(`stage ${s} has not one split for each node`);
    if (stage.owner >= lanes || stage.deputy >= lanes)
      throw new Error(`stage ${s} has no lane for its owner or deputy`);
    for (const node of graph.nodes.slice(start, end)) checkNode(graph, stage, s, node);
    // What later stages read of this one is its last tensor alone.
    const leak = graph.nodes.slice(end).find((node) => node.inputs.some((input) => input < end - 1));
    if (leak)
      throw new Error(
        `stage ${s} ends inside a residual connection: ${leak.layer} reads from before its end`,
      );
  }
  if (at !== graph.nodes.length)
    throw new Error('its stages do not hold the nodes of the model once, in order');
  const holders = stages.flatMap((stage) => stage.lanes);
  if (new Set(holders).size !== holders.length) throw new Error('a peer holds two blocks');
}

function checkNode(graph: ModelGraph, stage: Stage, s: number, node: Node): void {
  const split = stage.splits[node.index - stage.nodes[0]];
  const where = `${node.layer} in stage ${s}`;
  if (stage.lanes.length === 1 && split !== 'owner')
    throw new Error(`${where} is cut, but there is one lane`);
  const fits =
    split === 'owner' ||
    (split === 'summand' && node.op.kind === 'bias') ||
    (node.kind === 'linear'
      ? split === 'columns' || split === 'rows'
      : split === 'copies' || (node.kind === 'unitwise' && split === 'slices'));
  if (!fits) throw new Error(`${where} cannot be cut by ${split}`);
  if (split === 'summand' && splitOf(stage, graph.nodes.at(node.inputs[0])) !== 'rows')
    throw new Error(`${where} has no sum to be added to`);
  if (split === 'copies' && node.parameters.length > 0)
    throw new Error(`${where} has parameters, which need one owner`);
  const cut = [
    ...(split === 'rows' || split === 'slices' ? [node.input] : []),
    ...(split === 'columns' || split === 'slices' ? [node.output] : []),
  ];
  for (const { space, units } of cut) checkSlicing(stage, s, space, units);
}

function checkSlicing(stage: Stage, s: number, space: number, units: number): void {
  const found = stage.slicings.filter((slicing) => slicing.space === space);
  if (found.length !== 1)
    throw new Error(`stage ${s} does not say once how the units of space ${space} are cut`);
  const [{ cuts }] = found;
  const isCover = cuts.length === stage.lanes.length + 1 && cuts[0] === 0 && cuts.at(-1) === units;
  if (!isCover || cuts.some((cut, i) => i > 0 && cut < cuts[i - 1]))
    throw new Error(`stage ${s} does not cut the units of space ${space} over its lanes once`);
}
