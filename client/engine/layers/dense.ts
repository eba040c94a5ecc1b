import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation, DenseSpec } from '../../../shared/model.ts';
import { glorotKernel, zeroBias } from '../init.ts';
import type { ElementwiseProgram } from '../kernels/elementwise.ts';
import type { Kernels } from '../kernels/index.ts';
import type { Parameter } from '../parameter.ts';
import type { KeptActivations, Layer, LayerKind } from './layer.ts';

/** Derivatives written in the output y, so that the pre-activation need not be kept. Target: dLoss/dy. */
const derivative = (glsl: string, factor: (y: number) => number): ElementwiseProgram => ({
  inputs: ['d', 'y'],
  uniforms: [],
  glsl,
  cpu: ([d, y]) => {
    for (let i = 0; i < d.length; i++) d[i] *= factor(y[i]);
  },
});

const DERIVATIVES: Record<Exclude<Activation, 'linear'>, ElementwiseProgram> = {
  relu: derivative('d * step(vec4(1e-37), y)', (y) => (y > 0 ? 1 : 0)),
  tanh: derivative('d * (1.0 - y * y)', (y) => 1 - y * y),
  sigmoid: derivative('d * (y * (1.0 - y))', (y) => y * (1 - y)),
};

/** y = activation(x W + b): x [rows, inputs], W [inputs, units], b [units]. */
class Dense implements Layer {
  private readonly kernels: Kernels;
  private readonly activation: Activation;
  private readonly kernel: Parameter;
  private readonly bias: Parameter;

  constructor(kernels: Kernels, spec: DenseSpec, [kernel, bias]: readonly Parameter[]) {
    this.kernels = kernels;
    this.activation = spec.activation;
    this.kernel = kernel;
    this.bias = bias;
  }

  get needsOutput(): boolean {
    return this.activation !== 'linear';
  }

  forward(input: Tensor2D): Tensor2D {
    return this.kernels.dense(input, this.kernel.tiles, this.bias.tiles[0], this.activation);
  }

  backward(kept: KeptActivations, gradient: Tensor2D, wantsInputGradient: boolean): Tensor2D | null {
    const { kernels, kernel, bias } = this;
    let dz = gradient;
    if (this.activation !== 'linear' && kept.output) {
      dz = kernels.elementwise(DERIVATIVES[this.activation], gradient, [kept.output], []);
    }
    kept.output?.dispose();
    bias.sums[0] = kernels.addColumnSums(bias.sums[0], dz);
    let from = 0;
    kernel.tileRows.forEach((rows, i) => {
      kernel.sums[i] = kernels.addKernelGradient(kernel.sums[i], kept.input, dz, from, rows);
      from += rows;
    });
    kept.releaseInput();
    const inputGradient = wantsInputGradient ? kernels.denseInputGradient(dz, kernel.tiles) : null;
    dz.dispose();
    return inputGradient;
  }
}

export const dense: LayerKind = {
  initial: (seed, layer) => [glorotKernel(seed, layer), zeroBias(layer)],
  operations: ({ inputShape, units: [start, end] }) => 2 * inputShape[0] * (end - start),
  open: (kernels, spec, parameters) => new Dense(kernels, spec, parameters),
};
