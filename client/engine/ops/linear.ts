import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { Kernels } from '../kernels/index.ts';
import { isPointwise, windowOf, type Window } from '../kernels/window.ts';
import type { Parameter } from '../parameter.ts';
import { DERIVATIVES } from './activations.ts';
import type { Kept, OpContext, Pass, RunningOp } from './op.ts';

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

  forward([x]: readonly Tensor2D[], { version }: Pass): { output: Tensor2D } {
    const { kernels, kernel, window } = this;
    const { activation } = this.finish;
    const bias = this.finish.bias?.tilesOf(version)[0] ?? null;
    const tiles = kernel.tilesOf(version);
    const output = window
      ? kernels.convolve(x, tiles[0], bias, activation, window)
      : kernels.dense(x, tiles, bias, activation);
    return { output };
  }

  backward(
    { output, release, learn }: Kept,
    gradient: Tensor2D,
    wantsInput: boolean,
    { version }: Pass,
  ): (Tensor2D | null)[] {
    const { activation } = this.finish;
    const dz =
      activation === 'linear'
        ? gradient
        : this.kernels.elementwise(DERIVATIVES[activation], gradient, [output!], []);
    // Before the input gradient: where it is done at once, x is gone when that is made.
    learn({
      tensors: [dz],
      readsInput: true,
      // Images are large: to copy them together takes longer than one product saves.
      isOverRows: this.window === null,
      add: ([each], x) => this.addGradients(x!, each),
    });
    release();
    return [wantsInput ? this.inputGradient(dz, version) : null];
  }

  private addGradients(x: Tensor2D, dz: Tensor2D): void {
    const { kernels, window } = this;
    const { bias } = this.finish;
    const { sums, tileRows } = this.kernel;
    if (bias) bias.sums[0] = kernels.addColumnSums(bias.sums[0], dz);
    if (window) {
      sums[0] = kernels.addConvolutionGradient(sums[0], x, dz, window);
      return;
    }
    let from = 0;
    tileRows.forEach((rows, i) => {
      sums[i] = kernels.addKernelGradient(sums[i], x, dz, from, rows);
      from += rows;
    });
  }

  private inputGradient(dz: Tensor2D, version: number): Tensor2D {
    const { kernels, kernel, window } = this;
    const tiles = kernel.tilesOf(version);
    return window ? kernels.convolveBack(dz, tiles[0], window) : kernels.denseInputGradient(dz, tiles);
  }
}
