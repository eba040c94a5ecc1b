import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockLayer, BlockSpec, LayerState } from '../ports/compute.ts';
import type { LayerStart } from './starting-point.ts';
import type { Kernels } from './kernels/index.ts';
import { layerKind, type Layer } from './layers/index.ts';
import { optimizerOf } from './optimizers.ts';
import { Parameter } from './parameter.ts';

/** A layer on the device: what computes, what it learns, and how often it has learned. */
export class HeldLayer {
  readonly spec: BlockLayer;
  readonly compute: Layer;
  readonly parameters: readonly Parameter[];
  updates: number;

  constructor(kernels: Kernels, block: Pick<BlockSpec, 'optimizer'>, start: LayerStart) {
    const optimizer = optimizerOf(block.optimizer.kind);
    this.spec = start.layer;
    this.updates = start.updates;
    this.parameters = start.parameters.map((value) => {
      const state = new Map<string, Float32Array>();
      for (const name of optimizer.state) {
        const array = start.optimizer.get(`${value.name}:${name}`);
        if (array) state.set(name, array);
      }
      return new Parameter(kernels, optimizer, value, state);
    });
    this.compute = layerKind(this.spec.spec).open(kernels, this.spec.spec, this.parameters);
  }

  get name(): string {
    return this.spec.spec.name;
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
