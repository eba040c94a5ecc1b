import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FRAME_NUMBERS, partBytes } from '../../shared/packets.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { WireFormat } from '../../shared/wire.ts';
import { modelGraph, widthOf, type ModelGraph } from '../model/graph.ts';
import { headCurves, type UnitScores } from './importance.ts';
import { largestBytesOf, patchesOfNode, stateBytesOf } from './memory.ts';
import { LinkTable, meanOf, type PlannerLink } from './links.ts';

/** One micro-batch of a layer. */
export interface LayerCost {
  forwardMs: number;
  /** Input and weight gradient. */
  backwardMs: number;
  /** Of that, the weight gradient, which can wait. */
  weightsMs: number;
}

/** A peer as it was measured. */
export interface Device {
  peer: PeerId;
  /** One for each layer of the model, in order: the whole layer, one micro-batch, nobody else at work. */
  layerCosts: readonly LayerCost[];
  /** From 0 to 1: of a layer's time, what a lane takes whatever its share of the units. */
  fixedShare: number;
  /** What a forward or a backward costs however small it is: upload, read-back. */
  taskMs: number;
  /** What each number costs that goes in or out in such a task. */
  msPerNumber: number;
  /** Units that take as long as one of them: graphics processors compute four numbers at once. */
  grain: number;
  /** Its processor computes: while it sends or receives, it does not. */
  onProcessor: boolean;
  /** Budget for tensors; null: not known, so none. */
  memoryBytes: number | null;
  /** From 0 (comes and goes) to 1 (steady). */
  steadiness: number;
}

/** A device in the planner's arrays. */
export interface Worker extends Pick<
  Device,
  'peer' | 'fixedShare' | 'taskMs' | 'msPerNumber' | 'onProcessor' | 'steadiness'
> {
  /** Per node of the model. */
  forwardMs: Float64Array;
  backwardMs: Float64Array;
  weightsMs: Float64Array;
  /** Whole models (forward and backward of a micro-batch) per millisecond. */
  speed: number;
  /** Infinity where no budget is known. */
  memoryBytes: number;
  /** Chance that something sent by it comes: steady, over links that lose little. */
  reliability: number;
}

const FRAGILE_LOSS = 0.02;

/** Everything that plans are made from. */
export interface Problem {
  graph: ModelGraph;
  /** Samples per micro-batch. */
  rows: number;
  microBatches: number;
  wire: WireFormat;
  /** Bytes on the wire, headers included, for each byte of a tensor. */
  wireShare: number;
  schedule: 'sync' | 'async';
  /** Arrays that are kept for each parameter besides itself and its gradient sum: the optimizer's, and older versions of it. */
  optimizerArrays: number;
  /** Units are cut between so many, where every device takes as long for one of them as for all. */
  grain: number;
  /** Slices all alike, whatever was measured. */
  isEven: boolean;
  /** Links that lose as much should not be the one way of units to the next stage; all of them where a run goes on without lost parts. */
  fragileFrom: number;
  /** Best first: fast, well linked, steady. Indices of workers are ranks. */
  workers: readonly Worker[];
  /** Some have a budget for memory. */
  hasBudgets: boolean;
  links: LinkTable;
  /** What an exchange costs while nobody knows yet between whom. */
  typical: { latencyMs: number; msPerByte: number; taskMs: number };
  /** Least share of a node's time that its forward and input gradient take: what a pass cannot do without. */
  passShare: number;
  /** Operations of nodes [0, n), as a share of the model's. */
  operations: Float64Array;
  /** Least time of nodes [0, n) on a device of speed 1: what no plan can beat. */
  leastWork: Float64Array;
  /** The different numbers of units that spaces have, and for each space which of them it has. */
  unitCounts: readonly number[];
  classOfSpace: readonly number[];
  /** Per node: parameters over all units with sums of gradients and optimizer state, and the largest parameter alone. */
  stateBytes: Float64Array;
  largestParameterBytes: Float64Array;
  /** Per node: what windows see of its input, one micro-batch. */
  patchesBytes: Float64Array;
  /** Per tensor (from -1, so one further on), one micro-batch. */
  tensorBytes: Float64Array;
  /** For each of them: share of the importance that the first n units have together; null where it is equal. */
  headCurves: readonly (Float64Array | null)[];
}

const OPTIMIZER_ARRAYS: Readonly<Record<RunConfig['optimizer']['kind'], number>> = {
  sgd: 0,
  momentum: 1,
  adam: 2,
};

/** Of full frames with scales for the shortest groups that there are. */
function wireShareOf(wire: WireFormat): number {
  const numbers = FRAME_NUMBERS[wire];
  return partBytes(wire, numbers, 1) / (4 * numbers);
}

export function problemOf(
  config: RunConfig,
  devices: readonly Device[],
  links: readonly PlannerLink[],
  importance: readonly UnitScores[],
  wire: WireFormat = config.wire === 'auto' ? 'float32' : config.wire,
): Problem {
  const graph = modelGraph(config.model);
  // In an order of their own, so that a plan does not depend on how the room is listed.
  const byId = [...devices].sort((a, b) => (a.peer < b.peer ? -1 : 1));
  const table = LinkTable.of(
    byId.map(({ peer }) => peer),
    links,
  );
  const workers = byId.map((device, i) => workerOf(graph, device, table.lossOf(i)));
  const ranking = rankingOf(workers, table);
  const ranked = ranking.map((i) => workers[i]);
  const unitCounts = [...new Set(graph.spaces.map(({ units }) => units))].sort((a, b) => a - b);
  const rows = config.batch / config.microBatches;
  const { nodes } = graph;
  const schedule = config.schedule ?? 'sync';
  const optimizerArrays =
    OPTIMIZER_ARRAYS[config.optimizer.kind] + olderVersionsMax(graph, config, devices.length);
  return {
    graph,
    rows,
    microBatches: config.microBatches,
    wire,
    wireShare: wireShareOf(wire),
    schedule,
    optimizerArrays,
    grain: Math.min(...devices.map((device) => device.grain)),
    isEven: config.shares === 'even',
    fragileFrom: config.rule === 'deadline' ? 0 : FRAGILE_LOSS,
    workers: ranked,
    hasBudgets: ranked.some(({ memoryBytes }) => memoryBytes < Infinity),
    links: table.inOrder(ranking),
    typical: { ...table.typical(), taskMs: meanOf(workers.map(({ taskMs }) => taskMs)) },
    passShare: passShareOf(ranked),
    operations: sharesOfOperations(graph),
    leastWork: leastWorkOf(graph, ranked),
    unitCounts,
    classOfSpace: graph.spaces.map(({ units }) => unitCounts.indexOf(units)),
    stateBytes: Float64Array.from(nodes, ({ parameters }) => stateBytesOf(parameters, optimizerArrays)),
    largestParameterBytes: Float64Array.from(nodes, ({ parameters }) => largestBytesOf(parameters)),
    patchesBytes: Float64Array.from(nodes, (node) => patchesOfNode(node, rows)),
    tensorBytes: Float64Array.from(
      [graph.input, ...nodes.map(({ output }) => output)],
      (tensor) => rows * widthOf(tensor) * 4,
    ),
    headCurves: headCurves(graph, unitCounts, importance),
  };
}

/** Versions of the weights that a block keeps besides the newest where steps overlap, in the deepest pipeline that a room could make. */
function olderVersionsMax(graph: ModelGraph, { schedule, microBatches }: RunConfig, peers: number): number {
  if (schedule !== 'async') return 0;
  const products = graph.nodes.filter(({ kind }) => kind === 'linear').length;
  const kept = Math.min(peers, products) + LIMITS.pipeline.asyncAhead;
  return peers > 1 ? Math.ceil((kept - 1) / microBatches) : 0;
}

function workerOf(graph: ModelGraph, device: Device, loss: number): Worker {
  const { layerCosts, fixedShare, memoryBytes, msPerNumber, onProcessor, peer, steadiness, taskMs } = device;
  const shares = sharesOfLayers(graph);
  const layers = new Map(graph.model.layers.map(({ name }, i) => [name, layerCosts[i]]));
  const spread = (of: keyof LayerCost) =>
    Float64Array.from(graph.nodes, ({ layer, index }) => layers.get(layer)![of] * shares[index]);
  const forwardMs = spread('forwardMs');
  const backwardMs = spread('backwardMs');
  const weightsMs = spread('weightsMs');
  const allMs = sum(forwardMs) + sum(backwardMs);
  return {
    peer,
    fixedShare,
    taskMs,
    msPerNumber,
    onProcessor,
    steadiness,
    forwardMs,
    backwardMs,
    weightsMs,
    speed: 1 / Math.max(allMs, 1e-9),
    memoryBytes: memoryBytes ?? Infinity,
    reliability: steadiness * (1 - loss),
  };
}

/** Of a node's time, what a lane takes that has `share` of its operations. */
export const timeShareOf = ({ fixedShare }: Worker, share: number): number =>
  share > 0 ? fixedShare + (1 - fixedShare) * share : 0;

function passShareOf(workers: readonly Worker[]): number {
  let share = 1;
  for (const { forwardMs, backwardMs, weightsMs } of workers) {
    forwardMs.forEach((ms, node) => {
      const allMs = ms + backwardMs[node];
      if (allMs > 0) share = Math.min(share, (allMs - weightsMs[node]) / allMs);
    });
  }
  return share;
}

/** Each node's share of its layer: a layer's cost goes by operations. */
function sharesOfLayers(graph: ModelGraph): number[] {
  const all = new Map<string, { operations: number; nodes: number }>();
  for (const { layer, operations } of graph.nodes) {
    const found = all.get(layer) ?? { operations: 0, nodes: 0 };
    all.set(layer, { operations: found.operations + operations, nodes: found.nodes + 1 });
  }
  return graph.nodes.map(({ layer, operations }) => {
    const whole = all.get(layer)!;
    return whole.operations > 0 ? operations / whole.operations : 1 / whole.nodes;
  });
}

/** Ranks: speed times steadiness times closeness, each compared with the room's mean; ties by peer id. */
function rankingOf(workers: readonly Worker[], links: LinkTable): number[] {
  const closeness = workers.map((_, i) => links.closenessOf(i));
  const meanSpeed = meanOf(workers.map(({ speed }) => speed));
  const meanCloseness = meanOf(closeness);
  const quality = workers.map(({ speed, reliability }, i) => {
    const close = meanCloseness > 0 ? closeness[i] / meanCloseness : 1;
    // A fast device is worth more than a near one: work goes by speed, parts mostly hide behind it.
    return (speed / meanSpeed) * reliability * Math.sqrt(close);
  });
  return workers.map((_, i) => i).sort((a, b) => quality[b] - quality[a] || a - b);
}

function sharesOfOperations(graph: ModelGraph): Float64Array {
  const all = graph.nodes.reduce((total, { operations }) => total + operations, 0);
  return prefixSums(graph.nodes.map(({ operations }) => operations / Math.max(all, 1)));
}

/**
 * Devices of speeds v need at least (work / sum of v) for nodes that they share in whatever way, where a node's work is the least of
 * speed times time over all devices (the dual of the linear program).
 */
const leastWorkOf = (graph: ModelGraph, workers: readonly Worker[]): Float64Array =>
  prefixSums(
    graph.nodes.map((_, n) =>
      Math.min(...workers.map(({ forwardMs, backwardMs, speed }) => speed * (forwardMs[n] + backwardMs[n]))),
    ),
  );

function prefixSums(values: readonly number[]): Float64Array {
  const sums = new Float64Array(values.length + 1);
  values.forEach((value, i) => (sums[i + 1] = sums[i] + value));
  return sums;
}

const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
