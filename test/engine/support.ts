import { openBackend, type Backend } from '../../client/engine/backend.ts';
import { browserClock } from '../../client/link/clock.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import type { BlockSpec, Compute, LayerState, NamedArray } from '../../client/ports/compute.ts';
import { randomUniform, randomWord } from '../../shared/counter-random.ts';
import type { Activation, ModelSpec, OptimizerConfig } from '../../shared/model.ts';
import { widthOf, modelGraph } from '../../client/model/graph.ts';
import { laneProgram } from '../../client/partition/lane-program.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { oneLaneStage } from '../../client/partition/stages.ts';
import type { ReferenceBatch } from '../support/reference.ts';

export const cpu: Backend = await openBackend('cpu');

export const newCompute = (): TfCompute => new TfCompute(cpu, 'process', browserClock);

export function mlp(widths: number[], activation: Activation): ModelSpec {
  const [inputs, ...units] = widths;
  return {
    name: 'mlp',
    inputShape: [inputs],
    layers: units.map((count, i) => ({
      kind: 'dense',
      name: `dense${i + 1}`,
      units: count,
      activation: i === units.length - 1 ? 'linear' : activation,
      useBias: true,
    })),
    loss: 'softmaxCrossEntropy',
  };
}

export const optimizer = (kind: OptimizerConfig['kind'], learningRate = 0.01): OptimizerConfig => ({
  kind,
  learningRate,
  decay: 'constant',
});

/** Layers [from, to) of a model as a block of one lane that takes activations. */
export function blockOf(
  model: ModelSpec,
  config: OptimizerConfig,
  { from = 0, to = model.layers.length, rows = 8, seed = 7 } = {},
): BlockSpec {
  const graph = modelGraph(model);
  const nodeOf = (layer: number) => {
    const name = model.layers.at(layer)?.name;
    return layer === model.layers.length
      ? graph.nodes.length
      : graph.nodes.findIndex((node) => node.layer === name);
  };
  const cuts = [...new Set([0, nodeOf(from), nodeOf(to), graph.nodes.length])];
  const stages = cuts.slice(1).map((end, i) => oneLaneStage([cuts[i], end], `peer ${i}`));
  const stage = cuts.indexOf(nodeOf(from));
  const { registers, segments } = laneProgram(partitionOf(graph, stages), stage, 0);
  return {
    seed,
    registers,
    segments,
    orders: [],
    optimizer: config,
    input: { kind: 'activations' },
    head: to === model.layers.length,
    rows,
  };
}

/** The names of a block's layers. */
export const layersIn = ({ segments }: BlockSpec): string[] => [
  ...new Set(
    segments.flatMap(({ ops }) => ops.filter((op) => op.parameters.length > 0).map((op) => op.layer)),
  ),
];

export const normals = (count: number, key: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - randomUniform(key, i, 0)));
    return radius * Math.cos(2 * Math.PI * randomUniform(key, i, 1));
  });

export function batch(model: ModelSpec, rows: number, key: number): ReferenceBatch {
  const classes = widthOf(modelGraph(model).nodes.at(-1)!.output);
  return {
    rows,
    inputs: normals(rows * model.inputShape[0], key),
    labels: Uint8Array.from({ length: rows }, (_, i) => randomWord(key, i, 2) % classes),
  };
}

/** Sends a micro-batch through computes that hold the model in order; the gradient back, too, where `training`. */
export async function through(
  computes: readonly Compute[],
  micro: number,
  { inputs, labels, rows }: ReferenceBatch,
): Promise<void> {
  let input: Float32Array = inputs.slice();
  for (const compute of computes) {
    const { output } = await compute.forward({
      segment: 0,
      step: 0,
      micro,
      rows,
      input,
      labels,
      training: true,
    });
    if (output) input = output;
  }
  let gradient: Float32Array | undefined;
  for (const compute of computes.toReversed()) {
    ({ gradient } = await compute.backward({ segment: 0, micro, ...(gradient && { gradient }) }));
  }
}

export async function readAll(
  computes: readonly Compute[],
  layers: readonly string[],
): Promise<LayerState[]> {
  const states: LayerState[] = [];
  for (const name of layers) {
    for (const compute of computes) {
      const state = await compute.read(name).catch(() => null);
      if (state) states.push(state);
    }
  }
  return states;
}

export const parametersOf = (states: readonly LayerState[]): NamedArray[] =>
  states.flatMap((state) => state.parameters);

/** Largest over the arrays of ||a - b|| / ||b||; names and shapes must agree. */
export function distance(actual: readonly NamedArray[], expected: readonly NamedArray[]): number {
  if (actual.length !== expected.length) return Infinity;
  const ratios = expected.map((want, i) => {
    const have = actual[i];
    if (have.name !== want.name || have.shape.join() !== want.shape.join()) return Infinity;
    return relative(have.data, want.data);
  });
  return Math.max(0, ...ratios);
}

export function relative(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    difference += (actual[i] - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / Math.max(norm, 1e-30));
}
