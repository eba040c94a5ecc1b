import type { Activation, LayerSpec, ModelSpec, Pair } from '../../shared/model.ts';

/** Short ways to write layers and models in tests. */

interface Options {
  activation?: Activation;
  useBias?: boolean;
  inputs?: string[];
}

const trained = ({ activation = 'linear', useBias = true, inputs }: Options) => ({
  activation,
  useBias,
  ...(inputs && { inputs }),
});

export const dense = (name: string, units: number, options: Options = {}): LayerSpec => ({
  kind: 'dense',
  name,
  units,
  ...trained(options),
});

export const conv = (
  name: string,
  units: number,
  size: number,
  options: Options & { strides?: Pair; padding?: 'same' | 'valid' } = {},
): LayerSpec => ({
  kind: 'conv2d',
  name,
  units,
  kernelSize: [size, size],
  strides: options.strides ?? [1, 1],
  padding: options.padding ?? 'same',
  ...trained(options),
});

export const depthwiseConv = (
  name: string,
  multiplier: number,
  size: number,
  options: Options & { strides?: Pair; padding?: 'same' | 'valid' } = {},
): LayerSpec => ({
  kind: 'depthwiseConv2d',
  name,
  multiplier,
  kernelSize: [size, size],
  strides: options.strides ?? [1, 1],
  padding: options.padding ?? 'same',
  ...trained(options),
});

export const pool = (
  name: string,
  kind: 'maxPooling2d' | 'averagePooling2d',
  options: { size?: Pair; strides?: Pair; padding?: 'same' | 'valid' } = {},
): LayerSpec => ({
  kind,
  name,
  poolSize: options.size ?? [2, 2],
  strides: options.strides ?? [2, 2],
  padding: options.padding ?? 'valid',
});

export const batchNorm = (name: string, inputs?: string[]): LayerSpec => ({
  kind: 'batchNormalization',
  name,
  momentum: 0.9,
  epsilon: 1e-3,
  center: true,
  scale: true,
  ...(inputs && { inputs }),
});

export const layerNorm = (name: string, inputs?: string[]): LayerSpec => ({
  kind: 'layerNormalization',
  name,
  epsilon: 1e-3,
  center: true,
  scale: true,
  ...(inputs && { inputs }),
});

export const flatten = (name = 'flatten'): LayerSpec => ({ kind: 'flatten', name });

export const add = (name: string, inputs: string[]): LayerSpec => ({ kind: 'add', name, inputs });

export const activation = (name: string, kind: Activation): LayerSpec => ({
  kind: 'activation',
  name,
  activation: kind,
});

export const dropout = (name: string, rate: number): LayerSpec => ({ kind: 'dropout', name, rate });

export const softmax = (name: string): LayerSpec => ({ kind: 'softmax', name });

export const model = (inputShape: number[], layers: LayerSpec[]): ModelSpec => ({
  name: 'test',
  inputShape,
  layers,
  loss: 'softmaxCrossEntropy',
});
