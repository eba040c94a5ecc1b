import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Through } from '../kernels.ts';

/** The array behind a tensor of the CPU backend: the backend's own, so writing to it changes the tensor. */
export const valuesOf = (tensor: Tensor2D): Float32Array => tensor.dataSync<'float32'>();

export const make = (values: Float32Array, rows: number, columns: number): Tensor2D =>
  tensor2d(values, [rows, columns], 'float32');

/** dLoss/dInput, taken on in place through what made the input. */
export function derived(gradient: Float32Array, through: Through | null): Float32Array {
  if (through) through.derivative.cpu([gradient, valuesOf(through.output)], [], through.output.shape[1]);
  return gradient;
}
