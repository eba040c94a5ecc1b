import * as tf from '@tensorflow/tfjs-core';
import * as layers from '@tensorflow/tfjs-layers';
import type { LayerSpec, ModelSpec, PoolingSpec } from '../../shared/model.ts';
import type { NamedArray } from '../../client/ports/compute.ts';

interface Layer {
  apply(inputs: layers.SymbolicTensor | layers.SymbolicTensor[]): unknown;
}

/** The same model by tfjs-layers: another hand than the reference's. Without dropout masks of our own. */
export function layersModel(model: ModelSpec): layers.LayersModel {
  const input = layers.input({ shape: model.inputShape });
  const outputs = new Map([['input', input]]);
  let before = 'input';
  for (const spec of model.layers) {
    const inputs = (spec.inputs ?? [before]).map((name) => outputs.get(name)!);
    const output = layerOf(spec).apply(inputs.length === 1 ? inputs[0] : inputs);
    outputs.set(spec.name, output as layers.SymbolicTensor);
    before = spec.name;
  }
  return layers.model({ inputs: input, outputs: outputs.get(before)! });
}

function layerOf(spec: LayerSpec): Layer {
  const { name } = spec;
  switch (spec.kind) {
    case 'dense':
      return layers.layers.dense({
        name,
        units: spec.units,
        useBias: spec.useBias,
        activation: spec.activation,
      });
    case 'conv2d':
      return layers.layers.conv2d({ ...windowed(spec), name, filters: spec.units });
    case 'depthwiseConv2d':
      return layers.layers.depthwiseConv2d({ ...windowed(spec), name, depthMultiplier: spec.multiplier });
    case 'maxPooling2d':
      return layers.layers.maxPooling2d(pooling(spec));
    case 'averagePooling2d':
      return layers.layers.averagePooling2d(pooling(spec));
    case 'globalAveragePooling2d':
      return layers.layers.globalAveragePooling2d({ name });
    case 'flatten':
      return layers.layers.flatten({ name });
    case 'reshape':
      return layers.layers.reshape({ name, targetShape: spec.shape });
    case 'activation':
      return layers.layers.activation({ name, activation: spec.activation });
    case 'leakyRelu':
      return layers.layers.leakyReLU({ name, alpha: spec.alpha });
    case 'dropout':
      return layers.layers.dropout({ name, rate: spec.rate });
    case 'softmax':
      return layers.layers.softmax({ name });
    case 'add':
      return layers.layers.add({ name });
    case 'batchNormalization': {
      const { momentum, epsilon, center, scale } = spec;
      return layers.layers.batchNormalization({ name, momentum, epsilon, center, scale });
    }
    case 'layerNormalization': {
      const { epsilon, center, scale } = spec;
      return layers.layers.layerNormalization({ name, epsilon, center, scale });
    }
  }
}

const pooling = ({ name, poolSize, strides, padding }: PoolingSpec) => ({ name, poolSize, strides, padding });

const windowed = ({
  kernelSize,
  strides,
  padding,
  activation,
  useBias,
}: Extract<LayerSpec, { kind: 'conv2d' | 'depthwiseConv2d' }>) => ({
  kernelSize,
  strides,
  padding,
  activation,
  useBias,
});

/** A weight's name in EdgePipe: tfjs-layers may number what it has named before. */
const plain = (name: string): string => name.replace(/_\d+$/, '');

export function setWeights(model: layers.LayersModel, parameters: readonly NamedArray[]): void {
  const byName = new Map(parameters.map((parameter) => [parameter.name, parameter]));
  for (const { name, layer } of weightsOf(model)) {
    const found = byName.get(name);
    if (!found) throw new Error(`no parameter ${name}`);
    const values = tf.tensor(found.data, found.shape, 'float32');
    layer.write(values);
    values.dispose();
  }
}

export const weightsOf = (model: layers.LayersModel) =>
  model.layers.flatMap((layer) =>
    layer.weights.map((weight) => ({
      name: `${layer.name}/${plain(weight.originalName.slice(weight.originalName.lastIndexOf('/') + 1))}`,
      layer: weight,
      values: () => weight.read().dataSync<'float32'>().slice(),
    })),
  );
