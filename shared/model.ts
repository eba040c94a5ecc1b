/** A model as plain data: what travels in a plan. Layers are in order; shapes exclude the batch dimension. */
export type Activation = 'linear' | 'relu' | 'tanh' | 'sigmoid';

export interface DenseSpec {
  kind: 'dense';
  name: string;
  units: number;
  activation: Activation;
}

export type LayerSpec = DenseSpec;

export interface ModelSpec {
  name: string;
  inputShape: number[];
  layers: LayerSpec[];
  /** The loss head: softmax and cross-entropy on the last layer's outputs (so that layer is linear). */
  loss: 'softmaxCrossEntropy';
}

/** Units [start, end) of a layer. */
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
