import type { RunConfig } from '../../../shared/schema/config.ts';
import { modelGraph, type ModelGraph, type Node } from '../../model/graph.ts';
import type { BlockCost, BlockSpec, Compute, Register } from '../../ports/compute.ts';

/** Wider layers are measured on some of their units: their arrays might not fit where one lane of them does. */
const NUMBERS_MEASURED = 1_000_000;

/** What a device takes for a model, layer by layer. */
export interface DeviceProfile {
  costs: BlockCost[];
  /** What a forward or a backward costs whatever its size: the way into the device and back. */
  taskMs: number;
}

/** Times every layer of a run's model on this device, one micro-batch, whole layers. */
export async function measureDevice(compute: Compute, config: RunConfig): Promise<DeviceProfile> {
  const graph = modelGraph(config.model);
  const layers = config.model.layers.map(({ name }) => graph.nodes.filter((node) => node.layer === name));
  const shares = layers.map(shareMeasured);
  const empty = blockOf(config, graph, [], 1);
  const [idle, ...costs] = await compute.profile([
    empty,
    ...layers.map((nodes, i) => blockOf(config, graph, nodes, shares[i])),
  ]);
  const taskMs = (idle.forwardMs + idle.backwardMs) / 2;
  // Weight gradients bring nothing in or out.
  const beyond = (ms: number, share: number) => Math.max(ms - taskMs, 0) / share;
  return {
    costs: costs.map(({ forwardMs, backwardMs, weightsMs }, i) => ({
      forwardMs: beyond(forwardMs, shares[i]),
      backwardMs: beyond(backwardMs, shares[i]),
      weightsMs: Math.min(weightsMs, Math.max(backwardMs - taskMs, 0)) / shares[i],
    })),
    taskMs,
  };
}

/** The share of a layer's units that is measured. */
function shareMeasured([first]: readonly Node[]): number {
  if (first.kind !== 'linear') return 1;
  const { units } = first.output;
  const numbers = first.parameters[0].shape.reduce((product, extent) => product * extent, 1);
  return Math.max(1, Math.floor(units * Math.min(1, NUMBERS_MEASURED / numbers))) / units;
}

/** A layer (or nothing at all) as a block of its own: activations in, activations out. */
function blockOf(config: RunConfig, graph: ModelGraph, nodes: readonly Node[], share: number): BlockSpec {
  const all = graph.nodes.reduce((sum, node) => sum + node.operations, 0);
  const registers: Register[] = [];
  const input = nodes[0]?.input ?? { shape: [1], units: 1, outer: 1, inner: 1, space: 0 };
  registers.push({ shape: input, held: [0, input.units] });
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
    input: { kind: 'activations' },
    head: false,
    rows: config.batch / config.microBatches,
  };
}
