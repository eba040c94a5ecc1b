import type { Op, ParameterShape, TensorShape } from '../model/graph.ts';
import type { Normalisation, OptimizerConfig, UnitRange } from '../../shared/model.ts';

/** What this device computes with, for people and for the planner. */
export interface DeviceInfo {
  backend: 'webgl' | 'cpu';
  where: 'worker' | 'page' | 'process';
  /** Why it is not WebGL in a worker, where it is not; empty otherwise. */
  note: string;
  /** Units that it computes at once: a texel holds four numbers. */
  grain: number;
  /** The processor itself draws or computes: what it does for the network, it does not do for training. */
  onProcessor: boolean;
  /** Set where the device's speed is emulated: milliseconds for the whole model's forward of one micro-batch. */
  emulatedMs: number | null;
  /** Budget for tensors, for experiments; null: none was set. */
  memoryBytes: number | null;
}

/** A tensor as one lane has it: all units of its space or a run of them, [rows, outer * held units * inner]. */
export interface Register {
  shape: TensorShape;
  /** The positions that are here. */
  held: UnitRange;
}

/** One node, or a slice of one, on registers of its block. */
export interface BlockOp {
  /** The node's index in the model. */
  node: number;
  layer: string;
  /** `narrow`: takes positions `output.held` out of its input; parameterless. Its backward puts zeros around. */
  op: Op | { kind: 'narrow' };
  /** Registers by their index in the block. */
  inputs: number[];
  output: number;
  /** The node's parameters over all units; this block has the entries of the units in its input and output registers. */
  parameters: ParameterShape[];
  /** Set where the register that it writes has final values and gets its whole gradient here: its units' importance may be measured. */
  measures: boolean;
}

/**
 * What a block computes between two boundaries. One without input, ops and output is idle, and never run; any of the three may be
 * missing alone. A register that no boundary fills is read or sent in a later segment than it is written in: beside what others exchange.
 */
export interface BlockSegment {
  /** Filled from outside before the ops run; null where nothing comes in: then earlier segments left all that is needed. */
  input: number | null;
  /** In order. */
  ops: BlockOp[];
  /** Handed to the boundary after (perhaps written in an earlier segment); null where nothing leaves, as at the loss head. */
  output: number | null;
  /** Share (0..1] of the whole model's operations: what an emulated device scales by. */
  share: number;
}

/** A block to hold: the slices of a run of nodes that one lane of a stage has. */
export interface BlockSpec {
  seed: number;
  registers: Register[];
  segments: BlockSegment[];
  /** The order of units by space; absent: the model's own. */
  orders: { space: number; units: number[] }[];
  optimizer: OptimizerConfig;
  /** `samples`: bytes that are normalised here (the first stage; no input gradient is computed). */
  input: { kind: 'samples'; normalisation: Normalisation } | { kind: 'activations' };
  /** True for a block that ends the model: its last segment ends in logits, takes labels and computes loss and metrics. */
  head: boolean;
  /** Samples per micro-batch in training; evaluation may use other sizes. */
  rows: number;
}

/**
 * A named array, or some of its entries. Names are `layer/kernel`, `layer/bias` and so on; optimizer state is
 * `layer/kernel:momentum`, `:m`, `:v`.
 */
export interface NamedArray {
  name: string;
  shape: number[];
  data: Float32Array;
  /** Per dimension, which entries of the whole array these are, in this order; null: all of them. Left out: all of everything. */
  entries?: (number[] | null)[];
}

/** What a block has of a layer: everything that must move with it when another peer takes it over. */
export interface LayerState {
  layer: string;
  /** Optimizer updates applied so far (Adam's t). */
  updates: number;
  parameters: NamedArray[];
  optimizer: NamedArray[];
}

export interface ForwardTask {
  segment: number;
  micro: number;
  /** The step; dropout draws its masks by it. */
  step: number;
  rows: number;
  /**
   * The segment's input register [rows, width]; bytes in the first segment where the block's input is `samples`. Absent where the
   * segment has none. Ownership passes to the compute.
   */
  input?: Uint8Array | Float32Array;
  /** [rows] class numbers; only for the head's last segment. */
  labels?: Uint8Array;
  /** False: nothing is kept for a backward pass (but registers that later segments read, until they have). */
  training: boolean;
  /** Measure the importance of units on this micro-batch, in its backward; its first pass decides. */
  measure?: boolean;
  /**
   * How many steps the weights lie behind the newest: what `StepTask.keeps` allowed for; its first pass decides. The backward uses the
   * same ones, whatever steps come in between. Left out: the newest.
   */
  age?: number;
}

export interface Metrics {
  /** Sum over samples of the cross-entropy (natural logarithm). */
  lossSum: number;
  correct: number;
  samples: number;
}

export interface ForwardResult {
  /** The segment's output register [rows, width]; absent where it has none. */
  output?: Float32Array;
  /** At the head when not training. In training the head's metrics are read once per step (see StepResult). */
  metrics?: Metrics;
}

export interface BackwardTask {
  segment: number;
  micro: number;
  /** Where its number may be under way in several steps; left out: the earliest of them. */
  step?: number;
  /**
   * dLoss/dOutput of the segment's output register, of the mean loss of this micro-batch, as far as it comes from beyond the boundary;
   * absent where the segment has no output register.
   */
  gradient?: Float32Array;
  /** True: only the input gradient is made; those of weights wait for `weights`. Left out: they are summed at once. */
  defer?: boolean;
}

/** Passes of one step whose backward was told to defer. */
export interface WeightsTask {
  segment: number;
  /** The oldest first. What is a sum over samples becomes one over those of all. */
  micros: readonly number[];
  /** As in its backward. */
  step?: number;
}

/** What is left out of a micro-batch: passes whose turn has not come yet. */
export interface SkipTask {
  step: number;
  micro: number;
  /** The first segment that is left out: its forward, where it has not run, and those after it; and the backwards of all of them. */
  segment: number;
}

export interface BackwardResult {
  /** dLoss/dInput of the segment's input register; absent where it has none, or samples. */
  gradient?: Float32Array;
}

export interface StepTask {
  /** Micro-batches whose gradients were summed: the divisor. Zero leaves weights and optimizer state alone. */
  counted: number;
  learningRate: number;
  /**
   * The step that ends, where micro-batches of the next one may be under way already; its metrics are given, and no weight gradient of
   * it may be pending. Left out: nothing else is under way.
   */
  step?: number;
  /** How many versions of the weights before the new one forwards may still ask for; left out: none. */
  keeps?: number;
}

export interface StepResult {
  /** The head's metrics over the step's micro-batches. */
  metrics?: Metrics;
}

/**
 * Taylor scores of units (Molchanov et al., 2019, first order): mean over samples of |sum over the unit's numbers of h * dL/dh|,
 * of the positions `held` of a space.
 */
export interface Importance {
  space: number;
  held: UnitRange;
  scores: Float32Array;
}

/** Memory of tensors on this device. */
export interface MemoryUse {
  tensors: number;
  bytes: number;
  /** Largest `bytes` since the block was loaded. */
  peakBytes: number;
  /**
   * What the block must hold: parameters, with the most versions of them kept at once; their gradient sums; optimizer state; most that
   * micro-batches in flight kept at once.
   */
  accounted: {
    parametersBytes: number;
    gradientsBytes: number;
    optimizerBytes: number;
    activationsBytes: number;
  };
}

/** Measured times of one small block: a pass through all its segments for one micro-batch. */
export interface BlockCost {
  forwardMs: number;
  /** Input and weight gradient together. */
  backwardMs: number;
  /** Of that, what can be deferred: the gradients of weights. */
  weightsMs: number;
}

/**
 * Runs one block. Calls are served one at a time in the order they came. A micro-batch goes forward through the segments that are not
 * idle, in order, and in training back again; a pass whose turn it is not is rejected. Weight gradients that were deferred come after
 * the backward, before the step that counts them. A
 * rejected call leaves the block as it was and says why for people (lost WebGL context, out of memory, numbers that are not finite).
 */
export interface Compute {
  readonly device: DeviceInfo;
  /** Times blocks one by one on arbitrary numbers; never holds two at once. */
  profile(blocks: BlockSpec[]): Promise<BlockCost[]>;
  /** Replaces the block held so far. Entries that no state gives start from the seed; later states count over earlier ones. */
  load(block: BlockSpec, state: LayerState[]): Promise<void>;
  forward(task: ForwardTask): Promise<ForwardResult>;
  backward(task: BackwardTask): Promise<BackwardResult>;
  /** Sums the weight gradients that a backward left pending. */
  weights(task: WeightsTask): Promise<void>;
  /** Goes on with a micro-batch without some of its passes; they add nothing to any sum, what they deferred is forgotten. */
  skip(task: SkipTask): Promise<void>;
  step(task: StepTask): Promise<StepResult>;
  /** Forgets micro-batches in flight, pending weight gradients and gradients summed since the last step. */
  abandon(): Promise<void>;
  /** What this block has of a layer. */
  read(layer: string): Promise<LayerState>;
  /** Scores measured since the block was loaded, as moving averages; empty before any was measured. */
  importance(): Promise<Importance[]>;
  memory(): Promise<MemoryUse>;
  /** Drops the block. */
  unload(): Promise<void>;
  close(): void;
}
