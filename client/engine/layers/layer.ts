import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { LayerSpec } from '../../../shared/model.ts';
import type { BlockLayer, NamedArray } from '../../ports/compute.ts';
import type { Kernels } from '../kernels/index.ts';
import type { Parameter } from '../parameter.ts';

/** What a layer is before it holds weights. One per kind of layer; see the registry in index.ts. */
export interface LayerKind<Spec extends LayerSpec = LayerSpec> {
  /** The parameters of this block's units from the seed; their names and shapes are those of any other state, too. */
  initial(seed: number, layer: BlockLayer): NamedArray[];
  /** Multiply-adds counted as two operations, one sample, forward, for this block's units. */
  operations(layer: BlockLayer): number;
  /** `parameters` in the order of `initial`. */
  open(kernels: Kernels, spec: Spec, parameters: readonly Parameter[]): Layer;
}

/** A layer with its weights on the device: forward and backward by hand, so that nothing is computed twice. */
export interface Layer {
  /** Whether backward reads the output; the input it always reads. */
  readonly needsOutput: boolean;
  /** [rows, input size] -> [rows, output size]. The input stays the caller's. */
  forward(input: Tensor2D): Tensor2D;
  /**
   * Adds to the gradient sums; gives dLoss/dInput where wanted. Consumes dLoss/dOutput and `kept.output`; calls
   * `releaseInput` as soon as the input is not read any more.
   */
  backward(kept: KeptActivations, gradient: Tensor2D, wantsInputGradient: boolean): Tensor2D | null;
}

export interface KeptActivations {
  input: Tensor2D;
  /** Null where the layer does not need it. */
  output: Tensor2D | null;
  releaseInput: () => void;
}
