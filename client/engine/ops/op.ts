import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockOp, Register } from '../../ports/compute.ts';
import type { Kernels, Through } from '../kernels/index.ts';
import type { Parameter } from '../parameter.ts';
import { DERIVATIVES, type Curve } from './activations.ts';

/** What an op is made of. */
export interface OpContext {
  kernels: Kernels;
  seed: number;
  op: BlockOp;
  input: Register;
  output: Register;
  /** In the order of the node's parameters. */
  parameters: readonly Parameter[];
  /** The order of a space's units: position -> unit; null: the model's own. */
  orderOf(space: number): readonly number[] | null;
  /** What made the input, where the input's gradient is taken on through its derivative. */
  through: Curve | null;
}

/** One pass of a micro-batch. */
export interface Pass {
  rows: number;
  step: number;
  /** The sample of the step that the micro-batch begins with. */
  firstSample: number;
  training: boolean;
  /** Of the weights that it uses. */
  version: number;
}

/** The gradients of an op's parameters, still to be added to the sums. */
export interface WeightWork {
  /** Needed for it; they stay alive until then and are disposed after. */
  tensors: readonly Tensor2D[];
  /** The op's input is needed for it, too. */
  readsInput: boolean;
  /** Adds this work, or several micro-batches' of the same op at once. */
  add: (works: readonly LearnedFrom[]) => void;
}

/** What one micro-batch has for the gradients of an op's parameters. */
export interface LearnedFrom {
  tensors: readonly Tensor2D[];
  /** Null where `readsInput` is false. */
  input: Tensor2D | null;
}

/** What is left of a forward for its backward. */
export interface Kept {
  /** Null where `keeps.input` is false. */
  inputs: (Tensor2D | null)[];
  /** Null where `keeps.output` is false. */
  output: Tensor2D | null;
  /** What forward put aside. Owned by the op: disposed in backward. */
  extras: readonly Tensor2D[];
  /** Lets go of those inputs and outputs that nothing else reads: called as soon as they are not read here any more. */
  release: () => void;
  /** Takes the work of parameters over: it is done now, or after this backward. */
  learn: (work: WeightWork) => void;
}

/** An op of a block with its parameters on the device: forward and backward by hand, so that nothing is computed twice. */
export interface RunningOp {
  /** What of its registers backward reads. */
  readonly keeps: { input: boolean; output: boolean };
  /** Tensors that it holds for its whole life, parameters aside. */
  readonly tensors?: readonly Tensor2D[];
  /** The inputs stay the caller's, the output is new; `extras` are kept for backward (in training only). */
  forward(inputs: readonly Tensor2D[], pass: Pass): { output: Tensor2D; extras?: Tensor2D[] };
  /** Gives dLoss/dInput of each input where that is wanted, hands on what parameters learn. Consumes dLoss/dOutput and the extras. */
  backward(kept: Kept, gradient: Tensor2D, wantsInput: boolean, pass: Pass): (Tensor2D | null)[];
}

/** What a parameter of one row learns from sums that are formed already. */
export function sumsOf(kernels: Kernels, parameter: Parameter, sums: Tensor2D): WeightWork {
  const add = (works: readonly LearnedFrom[]) => {
    const rows = works.map(({ tensors: [row] }) => row);
    parameter.sums[0] = kernels.addColumnSums(parameter.sums[0], rows);
  };
  return { tensors: [sums], readsInput: false, add };
}

export const throughOf = (curve: Curve | null, input: Tensor2D | null): Through | null =>
  curve && input && { derivative: DERIVATIVES[curve], output: input };
