import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { Kernels } from '../kernels/index.ts';
import { isPointwise, windowOf, type Window } from '../kernels/window.ts';
import type { Parameter } from '../parameter.ts';
import { DERIVATIVES } from './activations.ts';
import type { Kept, OpContext, RunningOp } from './op.ts';

/** What follows a product within a layer, done with it in one pass. */
export interface Finish {
  bias: Parameter | null;
  activation: Activation;
}

/**
 * y = activation(x W + b), for a dense layer and for a convolution alike: there x is what the window sees at each place, taken out
 * anew for the backward instead of kept.
 */
export class Linear implements RunningOp {
  readonly keeps: RunningOp['keeps'];
  private readonly kernels: Kernels;
  private readonly kernel: Parameter;
  private readonly finish: Finish;
  /** Null for a dense layer, and for a convolution whose window is a single number. */
  private readonly window: Window | null;

  constructor({ kernels, op: { op }, input, parameters }: OpContext, finish: Finish) {
    this.kernels = kernels;
    [this.kernel] = parameters;
    this.finish = finish;
    this.keeps = { input: true, output: finish.activation !== 'linear' };
    const window =
      op.kind === 'conv2d' ? windowOf(input.shape.shape, op.kernelSize, op.strides, op.padding) : null;
    this.window = window && !isPointwise(window) ? window : null;
  }

  forward([x]: readonly Tensor2D[]): { output: Tensor2D } {
    const { bias, activation } = this.finish;
    const seen = this.window ? this.kernels.patches(x, this.window) : x;
    const output = this.kernels.dense(seen, this.kernel.tiles, bias?.value ?? null, activation);
    if (seen !== x) seen.dispose();
    return { output };
  }

  backward(
    { inputs: [x], output, release }: Kept,
    gradient: Tensor2D,
    wantsInput: boolean,
  ): (Tensor2D | null)[] {
    const { kernels, kernel, window } = this;
    const { bias, activation } = this.finish;
    const dz =
      activation === 'linear'
        ? gradient
        : kernels.elementwise(DERIVATIVES[activation], gradient, [output!], []);
    if (bias) bias.sums[0] = kernels.addColumnSums(bias.sums[0], dz);
    const seen = window ? kernels.patches(x!, window) : x!;
    let from = 0;
    kernel.tileRows.forEach((rows, i) => {
      kernel.sums[i] = kernels.addKernelGradient(kernel.sums[i], seen, dz, from, rows);
      from += rows;
    });
    if (seen !== x) seen.dispose();
    release();
    if (!wantsInput) {
      dz.dispose();
      return [null];
    }
    const seenGradient = kernels.denseInputGradient(dz, kernel.tiles);
    dz.dispose();
    if (!window) return [seenGradient];
    const inputGradient = kernels.fromPatches(seenGradient, window);
    seenGradient.dispose();
    return [inputGradient];
  }
}
