import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { ElementwiseProgram } from './elementwise.ts';

/**
 * The few operations that training a dense block consists of, written so that none holds more than one tile of a
 * parameter besides what it is given. A kernel matrix [inputs, units] is held as tiles: adjacent runs of its rows.
 * Where a method says that it consumes a tensor, the tensor belongs to the method: it is disposed or reused.
 */
export interface Kernels {
  readonly backend: 'webgl' | 'cpu';
  /** How many rows each tile of a kernel matrix has; the sum is `rows`. */
  tileRows(rows: number, columns: number): number[];
  /** activation(x W + bias): x [rows, inputs], W in tiles, bias [1, units] -> [rows, units]. */
  dense(x: Tensor2D, tiles: readonly Tensor2D[], bias: Tensor2D, activation: Activation): Tensor2D;
  /** dz W^T: dz [rows, units] -> [rows, inputs]. */
  denseInputGradient(dz: Tensor2D, tiles: readonly Tensor2D[]): Tensor2D;
  /** sum + x[:, from .. from + tileRows]^T dz -> [tileRows, units]. Consumes `sum`; null stands for zeros. */
  addKernelGradient(
    sum: Tensor2D | null,
    x: Tensor2D,
    dz: Tensor2D,
    from: number,
    tileRows: number,
  ): Tensor2D;
  /** sum + the sum of the rows of x: x [rows, columns] -> [1, columns]. Consumes `sum`; null stands for zeros. */
  addColumnSums(sum: Tensor2D | null, x: Tensor2D): Tensor2D;
  /** Applies a program to arrays of one shape, giving the new `target`. Consumes `target`. */
  elementwise(
    program: ElementwiseProgram,
    target: Tensor2D,
    others: readonly Tensor2D[],
    uniforms: readonly number[],
  ): Tensor2D;
  /** Per row: (cross-entropy of the softmax in nats, 1 where the label has the highest score): [rows, 2]. */
  softmaxRows(logits: Tensor2D, labels: Tensor2D): Tensor2D;
  /** (softmax(logits) - onehot(labels)) / rows, from `softmaxRows` of the same: [rows, classes]. */
  softmaxGradient(logits: Tensor2D, labels: Tensor2D, perRow: Tensor2D): Tensor2D;
}
