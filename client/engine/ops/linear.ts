import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { Kernels, Through } from '../kernels/index.ts';
import { isPointwise, windowOf, type Window } from '../kernels/window.ts';
import type { Parameter } from '../parameter.ts';
import { DERIVATIVES, type Curve } from './activations.ts';
import { throughOf, type Kept, type LearnedFrom, type OpContext, type Pass, type RunningOp } from './op.ts';

/** What follows a product within a layer, done with it in one pass. */
export interface Finish {
  bias: Parameter | null;
  activation: Activation;
  /** The gradient comes with the derivative of the activation in it already. */
  isDerived: boolean;
}

/** y = activation(x W + b), for a dense layer and for a convolution alike. */
export class Linear implements RunningOp {
  readonly keeps: RunningOp['keeps'];
  private readonly kernels: Kernels;
  private readonly kernel: Parameter;
  private readonly finish: Finish;
  /** Null for a dense layer, and for a convolution whose window is a single number. */
  private readonly window: Window | null;
  private readonly through: Curve | null;

  constructor({ kernels, op: { op }, input, parameters, through }: OpContext, finish: Finish) {
    this.kernels = kernels;
    [this.kernel] = parameters;
    this.finish = finish;
    this.through = through;
    this.keeps = { input: true, output: finish.activation !== 'linear' && !finish.isDerived };
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
    { inputs: [input], output, release, learn }: Kept,
    gradient: Tensor2D,
    wantsInput: boolean,
    { version }: Pass,
  ): (Tensor2D | null)[] {
    const { activation, isDerived } = this.finish;
    const dz =
      activation === 'linear' || isDerived
        ? gradient
        : this.kernels.elementwise(DERIVATIVES[activation], gradient, [output!], []);
    learn({ tensors: [dz], readsInput: true, add: (works) => this.addGradients(works) });
    // Where what is learned has been added at once, nothing else reads x.
    if (!this.through) release();
    return [wantsInput ? this.inputGradient(dz, throughOf(this.through, input), version) : null];
  }

  private addGradients(works: readonly LearnedFrom[]): void {
    const { kernels, window } = this;
    const { bias } = this.finish;
    const { sums, tileRows } = this.kernel;
    const factors = works.map(({ input, tensors: [dz] }) => ({ x: input!, dz }));
    if (bias) {
      const rows = factors.map(({ dz }) => dz);
      bias.sums[0] = kernels.addColumnSums(bias.sums[0], rows);
    }
    if (window) {
      for (const { x, dz } of factors) sums[0] = kernels.addConvolutionGradient(sums[0], x, dz, window);
      return;
    }
    let from = 0;
    tileRows.forEach((rows, i) => {
      sums[i] = kernels.addKernelGradient(sums[i], factors, from, rows);
      from += rows;
    });
  }

  private inputGradient(dz: Tensor2D, through: Through | null, version: number): Tensor2D {
    const { kernels, kernel, window } = this;
    const tiles = kernel.tilesOf(version);
    return window
      ? kernels.convolveBack(dz, tiles[0], window, through)
      : kernels.denseInputGradient(dz, tiles, through);
  }
}
