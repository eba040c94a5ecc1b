import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockSpec, LayerState } from '../ports/compute.ts';
import type { LayerStart } from './starting-point.ts';
import type { Kernels } from './kernels/index.ts';
import { optimizerOf } from './optimizers.ts';
import { Parameter } from './parameter.ts';

/** What a block has of a layer on the device: its parameters, and how often they have learned. */
export class HeldLayer {
  readonly name: string;
  readonly parameters: readonly Parameter[];
  updates: number;

  constructor(kernels: Kernels, { optimizer }: BlockSpec, { layer, updates, parameters }: LayerStart) {
    this.name = layer;
    this.updates = updates;
    this.parameters = parameters.map((start) => new Parameter(kernels, optimizerOf(optimizer.kind), start));
  }

  /** Every tensor that outlives a call. */
  get tensors(): Tensor2D[] {
    return this.parameters.flatMap((parameter) => parameter.tensors);
  }

  update(kernels: Kernels, learningRate: number, scale: number): void {
    for (const parameter of this.parameters) {
      parameter.update({ kernels, learningRate, scale, updates: this.updates });
    }
    this.updates++;
  }

  read(): LayerState {
    return {
      layer: this.name,
      updates: this.updates,
      parameters: this.parameters.map((parameter) => parameter.read()),
      optimizer: this.parameters.flatMap((parameter) => parameter.readState()),
    };
  }
}
