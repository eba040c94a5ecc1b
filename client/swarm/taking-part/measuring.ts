import type { RunConfig } from '../../../shared/schema/config.ts';
import { modelGraph, type ModelGraph, type Node } from '../../model/graph.ts';
import { passageWidth } from '../../partition/exchange.ts';
import type { BlockCost, BlockSpec, Compute, Register } from '../../ports/compute.ts';

/** Wider layers are measured on some of their units: their arrays might not fit where one lane of them does. */
const NUMBERS_MEASURED = 1_000_000;

/** What a device takes for a model, layer by layer. */
export interface DeviceProfile {
  costs: BlockCost[];
  /** Of a layer's time, what a lane takes whatever its share of the units; the rest goes by that share. */
  fixedShare: number;
  /** What a forward or a backward costs whatever its size: the way into the device and back. */
  taskMs: number;
  /** What each number costs that goes that way, in or out. */
  msPerNumber: number;
}

/** Times every layer of a run's model on this device, one micro-batch, whole layers; and of the largest one half the units, too. */
export async function measureDevice(compute: Compute, config: RunConfig): Promise<DeviceProfile> {
  const graph = modelGraph(config.model);
  const layers = config.model.layers.map(({ name }) => graph.nodes.filter((node) => node.layer === name));
  const shares = layers.map(shareMeasured);
  const blocks = layers.map((nodes, i) => blockOf(config, graph, nodes, shares[i]));
  const largest = largestOf(layers);
  // Next to the whole of it, so that both meet the same other work.
  const halved = blockOf(config, graph, layers[largest], shares[largest] / 2);
  const timed = [...blocks.slice(0, largest + 1), halved, ...blocks.slice(largest + 1)];
  // Thrice, since one of them may meet other work: what comes first pays for what the device still had to do, 70 ms where four pages share
  // a graphics process.
  const passages = [passageOf(config, 1), passageOf(config, WIDE)];
  const middle = timed.length >> 1;
  const costs = await compute.profile([
    ...passages,
    ...timed.slice(0, middle),
    ...passages,
    ...timed.slice(middle),
    ...passages,
  ]);
  const count = passages.length;
  // From the end on, so that places stay what they are.
  const ways = [count + timed.length + count, count + middle, 0].map((at) =>
    costs.splice(at, count).map(passageMs),
  );
  const [taskMs, wideMs] = passages.map((_, i) => middleOf(ways.map((way) => way[i])));
  // Each of the numbers goes in and out.
  const msPerNumber = Math.max(0, wideMs - taskMs) / (2 * (WIDE - 1) * blocks[0].rows);
  const computed = costs.map((cost, i) => computedOf(cost, timed[i], { taskMs, msPerNumber }));
  const [half] = computed.splice(largest + 1, 1);
  return {
    costs: computed.map(({ forwardMs, backwardMs, weightsMs }, i) => ({
      forwardMs: forwardMs / shares[i],
      backwardMs: backwardMs / shares[i],
      weightsMs: weightsMs / shares[i],
    })),
    fixedShare: fixedShareOf(half, computed[largest]),
    taskMs,
    msPerNumber,
  };
}

/** What is left of a block's time without the way in and out. */
function computedOf(
  { forwardMs, backwardMs, weightsMs }: BlockCost,
  { registers, rows, input }: BlockSpec,
  { taskMs, msPerNumber }: Pick<DeviceProfile, 'taskMs' | 'msPerNumber'>,
): BlockCost {
  const widths = [registers[0], registers[registers.length - 1]].map(({ shape, held }) =>
    passageWidth(shape, held),
  );
  const beyond = (ms: number, numbers: number) =>
    Math.max(ms - taskMs - rows * numbers * msPerNumber, COMPUTED_LEAST * ms);
  const backward = beyond(backwardMs, widths[1] + (input.kind === 'samples' ? 0 : widths[0]));
  return {
    forwardMs: beyond(forwardMs, widths[0] + widths[1]),
    backwardMs: backward,
    // Weight gradients bring nothing in or out.
    weightsMs: Math.min(weightsMs, backward),
  };
}

/** From the time for half the units and for all of them, where time is a constant and so much for each unit. */
function fixedShareOf(half: BlockCost, whole: BlockCost): number {
  const wholeMs = whole.forwardMs + whole.backwardMs;
  if (wholeMs === 0) return 0;
  return Math.min(FIXED_MOST, Math.max(0, (2 * (half.forwardMs + half.backwardMs)) / wholeMs - 1));
}

/** More would be a mistake in measuring: nothing would be left to share. */
const FIXED_MOST = 0.8;

/** The layer with the most operations. */
function largestOf(layers: readonly (readonly Node[])[]): number {
  const operations = layers.map((nodes) => nodes.reduce((sum, node) => sum + node.operations, 0));
  return operations.indexOf(Math.max(...operations));
}

/**
 * Of a pass at least so much is computing, whatever the way in and out took when it was measured: on a busy processor that varies, and a
 * device that seemed to compute in no time at all would get everything.
 */
const COMPUTED_LEAST = 0.1;

const middleOf = (three: number[]): number => three.sort((a, b) => a - b)[1];

const passageMs = ({ forwardMs, backwardMs }: BlockCost): number => (forwardMs + backwardMs) / 2;

/** Wide enough for what it takes to stand out from a task's time. */
const WIDE = 2000;

/** The share of a layer's units that is measured. */
function shareMeasured([first]: readonly Node[]): number {
  if (first.kind !== 'linear') return 1;
  const { units } = first.output;
  const numbers = first.parameters[0].shape.reduce((product, extent) => product * extent, 1);
  return Math.max(1, Math.floor(units * Math.min(1, NUMBERS_MEASURED / numbers))) / units;
}

/** Whatever the samples, it takes as long. */
const SAMPLES = { kind: 'samples', normalisation: { mean: 0, deviation: 1 } } as const;

/** Nothing but the way in and out, for so many numbers of a sample. */
function passageOf(config: RunConfig, units: number): BlockSpec {
  const shape = { shape: [units], units, outer: 1, inner: 1, space: 0 };
  return {
    seed: config.seed,
    registers: [{ shape, held: [0, units] }],
    segments: [{ input: 0, ops: [], output: 0, share: 0 }],
    orders: [],
    optimizer: config.optimizer,
    input: { kind: 'activations' },
    head: false,
    rows: config.batch / config.microBatches,
  };
}

/** A layer as a block of its own: activations or samples in, activations out. */
function blockOf(config: RunConfig, graph: ModelGraph, nodes: readonly Node[], share: number): BlockSpec {
  const all = graph.nodes.reduce((sum, node) => sum + node.operations, 0);
  const [{ input, inputs: sources }] = nodes;
  const registers: Register[] = [{ shape: input, held: [0, input.units] }];
  const ops = nodes.map((node) => {
    const source = registers.length - 1;
    registers.push({ shape: node.output, held: [0, Math.round(node.output.units * share)] });
    const { op, index, layer, parameters } = node;
    const inputs = node.inputs.map(() => source);
    return { node: index, layer, op, inputs, output: registers.length - 1, parameters, measures: false };
  });
  const operations = nodes.reduce((sum, node) => sum + node.operations, 0);
  return {
    seed: config.seed,
    registers,
    segments: [{ input: 0, ops, output: registers.length - 1, share: (operations * share) / all }],
    orders: [],
    optimizer: config.optimizer,
    // Nobody asks for the gradient of samples, which would be dear.
    input: sources.includes(-1) ? SAMPLES : { kind: 'activations' },
    head: false,
    rows: config.batch / config.microBatches,
  };
}
