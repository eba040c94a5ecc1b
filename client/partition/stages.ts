import type { PeerId } from '../../shared/ids.ts';
import type { Slicing, Split, Stage } from '../../shared/schema/plan.ts';
import type { ModelGraph, Node } from '../model/graph.ts';

/** A stage of one lane: it owns everything. */
export function oneLaneStage([start, end]: readonly [number, number], peer: PeerId): Stage {
  return {
    nodes: [start, end],
    splits: Array.from({ length: end - start }, () => 'owner' as const),
    lanes: [peer],
    slicings: [],
    owner: 0,
    deputy: 0,
  };
}

/** The peers that hold a block, stage by stage, lane by lane. */
export const holdersOf = (stages: readonly Stage[]): PeerId[] => stages.flatMap(({ lanes }) => lanes);

/** The peer with the loss head. */
export function headOf(stages: readonly Stage[]): PeerId {
  const last = stages[stages.length - 1];
  return last.lanes[last.owner];
}

/** The layers of which a stage has any node, in order. */
export function layersOf(graph: ModelGraph, { nodes: [start, end] }: Stage): string[] {
  return [...new Set(graph.nodes.slice(start, end).map((node) => node.layer))];
}

/** Cut points that give lanes units in proportion to `shares` (largest remainders first); they may leave a lane none. */
export function cutsBy(units: number, shares: readonly number[]): number[] {
  const cuts = [0];
  for (const count of countsBy(units, shares)) cuts.push(cuts[cuts.length - 1] + count);
  return cuts;
}

/** Used again and again: planners count for thousands of crews. */
const rests: number[] = [];

/** How many units each lane gets of so many, in `counts`. */
export function countsBy(units: number, shares: readonly number[], counts: number[] = []): number[] {
  const lanes = shares.length;
  let total = 0;
  for (let lane = 0; lane < lanes; lane++) total += shares[lane];
  let left = units;
  for (let lane = 0; lane < lanes; lane++) {
    const exact = (units * shares[lane]) / total;
    const count = Math.floor(exact);
    rests[lane] = exact - count;
    counts[lane] = count;
    left -= count;
  }
  for (; left > 0; left--) {
    let largest = 0;
    for (let lane = 1; lane < lanes; lane++) if (rests[lane] > rests[largest]) largest = lane;
    counts[largest]++;
    rests[largest]--;
  }
  return counts;
}

/** A tensor that is whole somewhere, as a stage would go on with it. */
export type Settled = 'slices' | 'copies' | 'owner';

/** What is written under a split, once its sums are complete: by everybody, where the bias is among them already. */
export function settledAs(split: Split): Settled {
  if (split === 'summand') return 'copies';
  return split === 'copies' || split === 'owner' ? split : 'slices';
}

/**
 * The last units are the classes: what comes after their last product belongs to the loss. Where that product is cut by rows and nothing
 * but biases has parameters, every lane completes the sums and makes the loss for itself (`lossSplits`); else it has one owner, and so
 * has what reads a whole tensor for the last product alone.
 */
export const belongsToLoss = (graph: ModelGraph, node: Node): boolean =>
  (node.kind !== 'linear' && node.output.space === graph.nodes[graph.nodes.length - 1].output.space) ||
  (node.kind === 'across' && isForLastProduct(graph, node));

const shared = new WeakMap<ModelGraph, readonly Split[] | null>();

/**
 * How the nodes after the last product lie where that is cut by rows and every lane makes the loss for itself: biases are added to a
 * summand, so that no lane waits for its owner; the rest is computed from the completed sums by all. Null where that cannot be.
 */
export function lossSplits(graph: ModelGraph): readonly Split[] | null {
  let found = shared.get(graph);
  if (found === undefined) shared.set(graph, (found = findLossSplits(graph)));
  return found;
}

function findLossSplits({ nodes }: ModelGraph): readonly Split[] | null {
  const product = nodes.findLastIndex(({ kind }) => kind === 'linear');
  const splits: Split[] = [];
  for (const { index, inputs, op, parameters } of nodes.slice(product + 1)) {
    const isChain = inputs.length === 1 && inputs[0] === index - 1;
    const isSum = splits.every((split) => split === 'summand');
    if (!isChain || (parameters.length > 0 && !(op.kind === 'bias' && isSum))) return null;
    splits.push(parameters.length > 0 ? 'summand' : 'copies');
  }
  return product < 0 ? null : splits;
}

/** The same of one node; null, too, where it is not after the last product. */
export function lossSplit(graph: ModelGraph, { index }: Node): Split | null {
  const splits = lossSplits(graph);
  const at = splits ? index - (graph.nodes.length - splits.length) : -1;
  return at < 0 ? null : splits![at];
}

function isForLastProduct(graph: ModelGraph, { index }: Node): boolean {
  const last = graph.nodes[graph.nodes.length - 1];
  return graph.nodes
    .filter(({ inputs }) => inputs.includes(index))
    .every((reader) =>
      reader.kind === 'linear' ? reader === last : reader !== last && isForLastProduct(graph, reader),
    );
}

/** How a node that is no product follows from how its inputs lie. */
export function splitOf(node: Node, from: readonly Settled[], isAtLoss: boolean): Split {
  const hasParameters = node.parameters.length > 0;
  if (isAtLoss) return 'owner';
  if (node.kind === 'across') return hasParameters ? 'owner' : 'copies';
  if (!hasParameters && from.every((layout) => layout === 'copies')) return 'copies';
  return from.every((layout) => layout === 'owner') ? 'owner' : 'slices';
}

/**
 * Splits for the nodes [start, end) of a stage of several lanes, from how its linear nodes are cut. What is between them follows:
 * unit by unit where the tensor is in slices, on every copy where it is whole and nothing has parameters, else at the owner.
 * @param linear how each linear node is cut
 */
export function splitsFor(
  graph: ModelGraph,
  [start, end]: readonly [number, number],
  linear: (node: number) => 'columns' | 'rows' | 'owner',
  entering: Settled,
): Split[] {
  const splits: Split[] = [];
  const product = graph.nodes.findLastIndex(({ kind }) => kind === 'linear');
  const isLossShared = product >= start && product < end && linear(product) === 'rows';
  /** What a tensor of this stage would be used as where nothing asks for more. */
  const settled = (tensor: number): Settled => {
    if (tensor < start) return tensor < 0 ? 'copies' : entering;
    return settledAs(splits[tensor - start]);
  };
  for (const node of graph.nodes.slice(start, end)) {
    const isAtLoss = end === graph.nodes.length && belongsToLoss(graph, node);
    const shared = isLossShared && end === graph.nodes.length ? lossSplit(graph, node) : null;
    if (shared) splits.push(shared);
    else
      splits.push(
        node.kind === 'linear' ? linear(node.index) : splitOf(node, node.inputs.map(settled), isAtLoss),
      );
  }
  return splits;
}

/** One slicing for every space that the nodes of a stage cut. */
export function slicingsFor(
  graph: ModelGraph,
  [start, end]: readonly [number, number],
  splits: readonly Split[],
  cuts: (space: number) => number[],
): Slicing[] {
  const spaces = new Set<number>();
  graph.nodes.slice(start, end).forEach((node, i) => {
    if (splits[i] === 'rows' || splits[i] === 'slices') spaces.add(node.input.space);
    if (splits[i] === 'columns' || splits[i] === 'slices') spaces.add(node.output.space);
  });
  return [...spaces].sort((a, b) => a - b).map((space) => ({ space, cuts: cuts(space) }));
}
