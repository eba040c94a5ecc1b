import type { LayerSpec, Normalisation, OptimizerConfig, UnitRange } from '../../shared/model.ts';

/** What this device computes with, for people and for the planner. */
export interface DeviceInfo {
  backend: 'webgl' | 'cpu';
  where: 'worker' | 'page' | 'process';
  /** Why it is not WebGL in a worker, where it is not; empty otherwise. */
  note: string;
  /** Set where the device's speed is emulated: milliseconds for the whole model's forward of one micro-batch. */
  emulatedMs: number | null;
}

/** A layer with the shapes it works on (batch dimension excluded) and the units this block holds. */
export interface BlockLayer {
  spec: LayerSpec;
  inputShape: number[];
  outputShape: number[];
  units: UnitRange;
}

/** A block to hold: adjacent layers, their optimizer, and what enters and leaves. */
export interface BlockSpec {
  seed: number;
  layers: BlockLayer[];
  optimizer: OptimizerConfig;
  /** `samples`: bytes that are normalised here (the first stage; no input gradient is computed). */
  input: { kind: 'samples'; normalisation: Normalisation } | { kind: 'activations' };
  /** True for the block that ends the model: it takes labels and computes loss and metrics. */
  head: boolean;
  /** Samples per micro-batch in training; evaluation may use other sizes. */
  rows: number;
  /** This block's share (0..1] of the whole model's operations: what an emulated device scales by. */
  share: number;
}

/** A named array. Names are `layer/kernel`, `layer/bias`; optimizer state is `layer/kernel:momentum`, `:m`, `:v`. */
export interface NamedArray {
  name: string;
  shape: number[];
  data: Float32Array;
}

/** Everything that must move with a layer when another peer takes it over. */
export interface LayerState {
  layer: string;
  /** Optimizer updates applied so far (Adam's t). */
  updates: number;
  parameters: NamedArray[];
  optimizer: NamedArray[];
}

export interface ForwardTask {
  micro: number;
  rows: number;
  /** [rows, input size], bytes where the block's input is `samples`. Ownership passes to the compute. */
  input: Uint8Array | Float32Array;
  /** [rows] class numbers; only for the head. */
  labels?: Uint8Array;
  /** False: nothing is kept for a backward pass. */
  training: boolean;
}

export interface Metrics {
  /** Sum over samples of the cross-entropy (natural logarithm). */
  lossSum: number;
  correct: number;
  samples: number;
}

export interface ForwardResult {
  /** [rows, output size]; absent at the head. */
  output?: Float32Array;
  /** At the head when not training. In training the head's metrics are read once per step (see StepResult). */
  metrics?: Metrics;
}

export interface BackwardTask {
  micro: number;
  /** dLoss/dOutput [rows, output size], of the mean loss of this micro-batch; absent at the head, which has its own. */
  gradient?: Float32Array;
}

export interface BackwardResult {
  /** dLoss/dInput [rows, input size]; absent at the first block. */
  gradient?: Float32Array;
}

export interface StepTask {
  /** Micro-batches whose gradients were summed: the divisor. Zero leaves weights and optimizer state alone. */
  counted: number;
  learningRate: number;
}

export interface StepResult {
  /** The head's metrics over the step's micro-batches. */
  metrics?: Metrics;
}

/** Memory of tensors on this device. */
export interface MemoryUse {
  tensors: number;
  bytes: number;
  /** Largest `bytes` since the block was loaded. */
  peakBytes: number;
  /** What the block must hold: parameters and their gradient sums; optimizer state; most activations kept at once. */
  accounted: {
    parametersBytes: number;
    gradientsBytes: number;
    optimizerBytes: number;
    activationsBytes: number;
  };
}

export interface LayerCost {
  layer: string;
  forwardMs: number;
  /** Input and weight gradient together. */
  backwardMs: number;
}

/**
 * Runs one block. Calls are served one at a time in the order they came. A rejected call leaves the block as it was
 * and says why for people (lost WebGL context, out of memory, numbers that are not finite).
 */
export interface Compute {
  readonly device: DeviceInfo;
  /** Times each layer by itself on random numbers; never holds two layers at once. */
  profile(layers: BlockLayer[], rows: number): Promise<LayerCost[]>;
  /** Replaces the block held so far. Layers without given state start from `seed`. */
  load(block: BlockSpec, state: LayerState[]): Promise<void>;
  forward(task: ForwardTask): Promise<ForwardResult>;
  backward(task: BackwardTask): Promise<BackwardResult>;
  step(task: StepTask): Promise<StepResult>;
  /** Forgets micro-batches in flight and gradients summed since the last step. */
  abandon(): Promise<void>;
  /** The state of one held layer. */
  read(layer: string): Promise<LayerState>;
  memory(): Promise<MemoryUse>;
  /** Drops the block. */
  unload(): Promise<void>;
  close(): void;
}
