/** A model as plain data: what travels in a plan. Layers come after the layers they read; shapes exclude the batch dimension. */
export type Activation = 'linear' | 'relu' | 'tanh' | 'sigmoid';

export type Pair = [height: number, width: number];

interface Named {
  /** Unique in the model; parameters are named `layer/kernel` and so on. */
  name: string;
  /** The layers whose outputs it reads, `input` for the model's own; left out: the layer before. */
  inputs?: string[] | undefined;
}

interface Windowed {
  strides: Pair;
  padding: 'same' | 'valid';
}

export interface DenseSpec extends Named {
  kind: 'dense';
  units: number;
  activation: Activation;
  useBias: boolean;
}

/** Units are its output channels. */
export interface Conv2dSpec extends Named, Windowed {
  kind: 'conv2d';
  units: number;
  kernelSize: Pair;
  activation: Activation;
  useBias: boolean;
}

export interface DepthwiseConv2dSpec extends Named, Windowed {
  kind: 'depthwiseConv2d';
  kernelSize: Pair;
  /** Output channels per input channel. */
  multiplier: number;
  activation: Activation;
  useBias: boolean;
}

export interface PoolingSpec extends Named, Windowed {
  kind: 'maxPooling2d' | 'averagePooling2d';
  poolSize: Pair;
}

export interface BatchNormalizationSpec extends Named {
  kind: 'batchNormalization';
  momentum: number;
  epsilon: number;
  center: boolean;
  scale: boolean;
}

export interface LayerNormalizationSpec extends Named {
  kind: 'layerNormalization';
  epsilon: number;
  center: boolean;
  scale: boolean;
}

export type LayerSpec =
  | DenseSpec
  | Conv2dSpec
  | DepthwiseConv2dSpec
  | PoolingSpec
  | BatchNormalizationSpec
  | LayerNormalizationSpec
  | (Named & { kind: 'globalAveragePooling2d' })
  | (Named & { kind: 'flatten' })
  | (Named & { kind: 'reshape'; shape: number[] })
  | (Named & { kind: 'activation'; activation: Activation })
  | (Named & { kind: 'leakyRelu'; alpha: number })
  | (Named & { kind: 'dropout'; rate: number })
  | (Named & { kind: 'softmax' })
  | (Named & { kind: 'add' });

export interface ModelSpec {
  name: string;
  inputShape: number[];
  layers: LayerSpec[];
  /** The loss head: softmax and cross-entropy on the last layer's outputs (so that layer is linear). */
  loss: 'softmaxCrossEntropy';
}

/** Positions [start, end) among a layer's units, in the order that the plan gives them. */
export type UnitRange = [start: number, end: number];

/** How samples (bytes 0..255) become numbers: (byte / 255 - mean) / deviation. */
export interface Normalisation {
  mean: number;
  deviation: number;
}

export interface OptimizerConfig {
  kind: 'sgd' | 'momentum' | 'adam';
  learningRate: number;
  /** `linear`: falls to zero over the run; `constant`: stays. */
  decay: 'linear' | 'constant';
}
