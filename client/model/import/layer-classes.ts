import type { LayerSpec } from '../../../shared/model.ts';
import { type LayerConfig } from './layer-config.ts';

/** A layer of a saved model as EdgePipe has it. Its name and inputs are not yet known. */
export interface ReadLayer {
  spec: LayerSpec;
  /** True where a softmax follows as its activation. */
  endsInSoftmax: boolean;
}

/** @param input shape of what the layer reads, of its first input where there are several */
type Reader = (config: LayerConfig, input: readonly number[]) => LayerSpec | ReadLayer;

const name = '';
const TRAINED = { kernel_constraint: null, bias_constraint: null };
const REGULARIZED = { kernel_regularizer: null, bias_regularizer: null };

/** By class name, as Keras and tfjs have it. Initializers are not read: values come from the file, or from the run's seed. */
const READERS: Readonly<Record<string, Reader>> = {
  Dense: (config) => {
    config.only({ ...TRAINED, ...REGULARIZED });
    const endsInSoftmax = config.get('activation') === 'softmax';
    const activation = endsInSoftmax ? 'linear' : config.activation();
    const [units, useBias] = [config.whole('units'), config.flag('use_bias', true)];
    return { spec: { kind: 'dense', name, units, activation, useBias }, endsInSoftmax };
  },
  Conv2D: (config) => {
    config.only({ ...TRAINED, ...REGULARIZED, groups: 1 });
    return {
      kind: 'conv2d',
      name,
      units: config.whole('filters'),
      kernelSize: config.pair('kernel_size'),
      ...windowed(config),
      activation: config.activation(),
      useBias: config.flag('use_bias', true),
    };
  },
  DepthwiseConv2D: (config) => {
    config.only({ ...TRAINED, bias_regularizer: null, depthwise_regularizer: null, depthwise_constraint: null });
    return {
      kind: 'depthwiseConv2d',
      name,
      kernelSize: config.pair('kernel_size'),
      multiplier: config.whole('depth_multiplier', 1),
      ...windowed(config),
      activation: config.activation(),
      useBias: config.flag('use_bias', true),
    };
  },
  MaxPooling2D: (config) => pooling('maxPooling2d', config),
  AveragePooling2D: (config) => pooling('averagePooling2d', config),
  GlobalAveragePooling2D: (config) => {
    config.channelsLast();
    config.only({ keepdims: false });
    return { kind: 'globalAveragePooling2d', name };
  },
  Flatten: (config) => {
    config.channelsLast();
    return { kind: 'flatten', name };
  },
  Reshape: (config, input) => ({ kind: 'reshape', name, shape: targetShape(config, input) }),
  Activation: (config, input) => {
    if (config.get('activation') === 'softmax') return softmax(config, input);
    return { kind: 'activation', name, activation: config.activation() };
  },
  ReLU: (config) => {
    config.only({ max_value: null, negative_slope: 0, threshold: 0 });
    return { kind: 'activation', name, activation: 'relu' };
  },
  LeakyReLU: (config) => {
    const option = config.get('negative_slope') === undefined ? 'alpha' : 'negative_slope';
    return { kind: 'leakyRelu', name, alpha: config.share(option, 0.3) };
  },
  Dropout: (config) => {
    config.only({ noise_shape: null });
    const rate = config.share('rate', 0.5);
    return rate < 1 ? { kind: 'dropout', name, rate } : config.refuse('rate 1 would drop everything');
  },
  BatchNormalization: (config, input) => {
    config.only({ renorm: false, synchronized: false, beta_constraint: null, gamma_constraint: null });
    return {
      kind: 'batchNormalization',
      name,
      momentum: config.share('momentum', 0.99),
      ...normalising(config, input),
    };
  },
  LayerNormalization: (config, input) => {
    config.only({ rms_scaling: false, beta_constraint: null, gamma_constraint: null });
    return { kind: 'layerNormalization', name, ...normalising(config, input) };
  },
  Softmax: (config, input) => softmax(config, input),
  Add: () => ({ kind: 'add', name }),
};

/** The classes that a saved model may have, for messages. */
export const LAYER_CLASSES = ['InputLayer', ...Object.keys(READERS)].join(', ');

/** Throws a message for people that names a layer of a class that there is none of here. */
export function assertKnownClass({ className, layer }: LayerConfig): void {
  if (className === 'InputLayer' || Object.hasOwn(READERS, className)) return;
  throw new Error(
    `Layer ${layer} is of class ${className}, which is not supported: replace it or leave it out. Supported: ${LAYER_CLASSES}.`,
  );
}

/** Reads one layer, of a known class. Throws a message for people that names it and what is not supported. */
export function readLayer(config: LayerConfig, input: readonly number[]): ReadLayer {
  if (!config.flag('trainable', true)) {
    config.refuse('it is frozen (trainable is false), which is not supported: set it to true');
  }
  config.float32();
  config.only({ activity_regularizer: null });
  const read = READERS[config.className](config, input);
  return 'spec' in read ? read : { spec: read, endsInSoftmax: false };
}

function windowed(config: LayerConfig) {
  config.channelsLast();
  const [down, across] = config.pair('dilation_rate', 1);
  if (down !== 1 || across !== 1) config.refuse('a dilation_rate other than 1 is not supported');
  return { strides: config.pair('strides', 1), padding: config.padding() };
}

function pooling(kind: 'maxPooling2d' | 'averagePooling2d', config: LayerConfig): LayerSpec {
  config.channelsLast();
  const poolSize = config.pair('pool_size', 2);
  return { kind, name, poolSize, strides: config.pair('strides', poolSize), padding: config.padding() };
}

function normalising(config: LayerConfig, input: readonly number[]) {
  config.only({ beta_regularizer: null, gamma_regularizer: null });
  config.lastAxis(input.length);
  const epsilon = config.share('epsilon', 1e-3);
  if (epsilon === 0) config.refuse('epsilon must be above 0');
  return { epsilon, center: config.flag('center', true), scale: config.flag('scale', true) };
}

function softmax(config: LayerConfig, input: readonly number[]): LayerSpec {
  config.lastAxis(input.length);
  return { kind: 'softmax', name };
}

/** With the extent that is left open (-1; tfjs writes null) filled in. */
function targetShape(config: LayerConfig, input: readonly number[]): number[] {
  const given = config.get('target_shape');
  const extents = (Array.isArray(given) ? (given as unknown[]) : []).map((extent) => extent ?? -1);
  const isExtent = (n: unknown): n is number => Number.isSafeInteger(n) && ((n as number) >= 1 || n === -1);
  if (extents.length < 1 || extents.length > 3 || !extents.every(isExtent)) {
    return config.refuse('target_shape must be one to three whole numbers');
  }
  const all = input.reduce((product, extent) => product * extent, 1);
  const known = extents.reduce((product, extent) => (extent === -1 ? product : product * extent), 1);
  if (all % known !== 0)
    config.refuse(`shape [${input.join(', ')}] cannot become [${extents.join(', ')}]`);
  return extents.map((extent) => (extent === -1 ? all / known : extent));
}
