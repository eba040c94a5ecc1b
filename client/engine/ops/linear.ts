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

/** y = activation(x W + b), for a dense layer and for a convolution alike. */
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
    const { kernels, kernel, window } = this;
    const { activation } = this.finish;
    const bias = this.finish.bias?.value ?? null;
    const output = window
      ? kernels.convolve(x, kernel.value, bias, activation, window)
      : kernels.dense(x, kernel.tiles, bias, activation);
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
    if (window) kernel.sums[0] = kernels.addConvolutionGradient(kernel.sums[0], x!, dz, window);
    else this.addKernelGradients(x!, dz);
    release();
    const result = wantsInput ? this.inputGradient(dz) : null;
    dz.dispose();
    return [result];
  }

  private addKernelGradients(x: Tensor2D, dz: Tensor2D): void {
    const { sums, tileRows } = this.kernel;
    let from = 0;
    tileRows.forEach((rows, i) => {
      sums[i] = this.kernels.addKernelGradient(sums[i], x, dz, from, rows);
      from += rows;
    });
  }

  private inputGradient(dz: Tensor2D): Tensor2D {
    const { kernels, kernel, window } = this;
    return window
      ? kernels.convolveBack(dz, kernel.value, window)
      : kernels.denseInputGradient(dz, kernel.tiles);
  }
}
