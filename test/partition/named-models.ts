import { modelGraph } from '../../client/model/graph.ts';
import { cnn, mlp, readModel } from '../../client/model/models.ts';
import { resnet } from '../../client/model/resnet.ts';
import { cutsBy, settledAs, slicingsFor, splitsFor, type Settled } from '../../client/partition/stages.ts';
import { shuffled } from '../../shared/counter-random.ts';
import type { LayerSpec, ModelSpec } from '../../shared/model.ts';
import type { Order, Stage } from '../../shared/schema/plan.ts';
import { legalCuts } from '../support/random-partition.ts';

/** `small`: on images of 8 x 8 and 10 x 10, with narrower layers; `full`: as people get them by name. */
export type Size = 'small' | 'full';

export const CLASSES: Readonly<Record<Size, number>> = { small: 5, full: 10 };

export type ModelName = 'mlp' | 'cnn' | 'resnet';

const MODELS: Readonly<Record<Size, Record<ModelName, ModelSpec>>> = {
  small: {
    mlp: mlp(64, CLASSES.small, [24, 16, 12]),
    cnn: cnn(8, CLASSES.small, [3, 6, 12]),
    resnet: halved(resnet(10, CLASSES.small)),
  },
  full: {
    mlp: readModel('mlp', 784, CLASSES.full),
    cnn: readModel('cnn', 784, CLASSES.full),
    resnet: readModel('resnet', 784, CLASSES.full),
  },
};

/** Layers cut by rows: the second of each pair, so that a pair is one super neuron for each lane. */
const ROWS: Readonly<Record<ModelName, readonly string[]>> = {
  mlp: ['dense_2', 'dense_4'],
  cnn: ['conv2d_2', 'dense_2'],
  resnet: ['conv2d_3', 'conv2d_5', 'conv2d_8', 'dense_1'],
};

/** The same model with half the channels. */
function halved(model: ModelSpec): ModelSpec {
  return {
    ...model,
    layers: model.layers.map((spec) => (spec.kind === 'conv2d' ? { ...spec, units: spec.units / 2 } : spec)),
  };
}

export const modelNamed = (
  name: ModelName,
  smoothness: 'smooth' | 'kinked',
  size: Size = 'small',
): ModelSpec => {
  const model = MODELS[size][name];
  return smoothness === 'kinked' ? model : { ...model, layers: model.layers.map(smoothed) };
};

/** The same layer without kinks: tanh for ReLU, average pooling for max pooling. */
function smoothed(spec: LayerSpec): LayerSpec {
  if (spec.kind === 'maxPooling2d') return { ...spec, kind: 'averagePooling2d' };
  return 'activation' in spec && spec.activation === 'relu' ? { ...spec, activation: 'tanh' } : spec;
}

/** So many stages of so many lanes: stages cut between layers, by operations; every lane has less than the one before. */
export function gridOf(name: ModelName, model: ModelSpec, stages: number, lanes: number): Stage[] {
  const graph = modelGraph(model);
  const edges = [0, ...stageEnds(model, stages), graph.nodes.length];
  const shares = Array.from({ length: lanes }, (_, lane) => lanes + 1 - lane);
  let entering: Settled = 'copies';
  return edges.slice(1).map((end, s): Stage => {
    const nodes: [number, number] = [edges[s], end];
    const linear = (node: number) => (ROWS[name].includes(graph.nodes[node].layer) ? 'rows' : 'columns');
    const splits =
      lanes === 1
        ? Array.from({ length: end - edges[s] }, () => 'owner' as const)
        : splitsFor(graph, nodes, linear, entering);
    entering = settledAs(splits[splits.length - 1]);
    return {
      nodes,
      splits,
      lanes: shares.map((_, lane) => `stage${s}lane${lane}`),
      slicings: slicingsFor(graph, nodes, splits, (space) => cutsBy(graph.spaces[space].units, shares)),
      owner: lanes - 1,
      deputy: 0,
    };
  });
}

function stageEnds(model: ModelSpec, stages: number): number[] {
  const { nodes } = modelGraph(model);
  const done = (at: number) => nodes.slice(0, at).reduce((sum, { operations }) => sum + operations, 0);
  const possible = legalCuts(modelGraph(model)).filter((at) => nodes[at].layer !== nodes[at - 1].layer);
  const ends: number[] = [];
  for (let s = 1; s < stages; s++) {
    const left = possible.filter(
      (at) => at > (ends.at(-1) ?? 0) && possible.filter((other) => other > at).length >= stages - 1 - s,
    );
    const target = (done(nodes.length) * s) / stages;
    ends.push(
      left.reduce((best, at) => (Math.abs(done(at) - target) < Math.abs(done(best) - target) ? at : best)),
    );
  }
  return ends;
}

/** Every space whose units may change places, shuffled. */
export const shuffledOrders = (model: ModelSpec, seed: number): Order[] =>
  modelGraph(model)
    .spaces.filter(({ pinned }) => !pinned)
    .map(({ index, units }) => ({ space: index, units: [...shuffled(units, seed, index)] }));
