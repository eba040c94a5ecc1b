import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Activation } from '../../../shared/model.ts';
import type { ElementwiseProgram, Summand } from './elementwise.ts';
import type { Window } from './window.ts';

/**
 * The few operations that training a block consists of, all on matrices: [rows, numbers of a sample], or, for images,
 * [rows * height * width, channels]. None holds more than one tile of a parameter besides what it is given. A kernel
 * matrix [inputs, units] is held as tiles: adjacent runs of its rows. Where a method says that it consumes a tensor,
 * the tensor belongs to the method: it is disposed or reused.
 */
export interface Kernels extends DenseKernels, WindowKernels, ShapeKernels, LossKernels, TransferKernels {
  readonly backend: 'webgl' | 'cpu';
  /** Applies a program to arrays of one shape, giving the new `target`. Consumes `target`. */
  elementwise(
    program: ElementwiseProgram,
    target: Tensor2D,
    others: readonly Tensor2D[],
    uniforms: readonly number[],
  ): Tensor2D;
  /** The formula's sum over the rows of `inputs[0]`: [1, columns]. */
  columnSums(summand: Summand, inputs: readonly Tensor2D[], uniforms: readonly number[]): Tensor2D;
  /** The formula's sum over the columns of `inputs[0]`: [rows, 1]. */
  rowSums(summand: Summand, inputs: readonly Tensor2D[], uniforms: readonly number[]): Tensor2D;
  /** The highest number of each row: [rows, 1]. */
  rowHighest(x: Tensor2D): Tensor2D;
  /** Drops numbers and scales up the others. Consumes x. */
  dropout(x: Tensor2D, mask: DropoutMask): Tensor2D;
}

export interface DenseKernels {
  /** How many rows each tile of a kernel matrix has; the sum is `rows`. */
  tileRows(rows: number, columns: number): number[];
  /** activation(x W + bias): x [rows, inputs], W in tiles, bias [1, units] or none -> [rows, units]. */
  dense(x: Tensor2D, tiles: readonly Tensor2D[], bias: Tensor2D | null, activation: Activation): Tensor2D;
  /** dz W^T: dz [rows, units] -> [rows, inputs]. */
  denseInputGradient(dz: Tensor2D, tiles: readonly Tensor2D[], through: Through | null): Tensor2D;
  /** sum + each x[:, from .. from + tileRows]^T dz -> [tileRows, units]. Consumes `sum`; null stands for zeros. */
  addKernelGradient(
    sum: Tensor2D | null,
    factors: readonly { x: Tensor2D; dz: Tensor2D }[],
    from: number,
    tileRows: number,
  ): Tensor2D;
  /** sum + the sum of the rows of each x: x [rows, columns] -> [1, columns]. Consumes `sum`; null stands for zeros. */
  addColumnSums(sum: Tensor2D | null, xs: readonly Tensor2D[]): Tensor2D;
}

/** The gradient of an input goes on through the derivative of the activation that made it, in the same pass. */
export interface Through {
  /** Written in dLoss/dy, its target, and y. */
  derivative: ElementwiseProgram;
  /** The input: y. */
  output: Tensor2D;
}

/** x: images [rows * height * width, channels]; y and dy: the same at the window's places. */
export interface WindowKernels {
  /** activation(convolution + bias): kernel [window * channels, units], bias [1, units] or none -> units channels. */
  convolve(
    x: Tensor2D,
    kernel: Tensor2D,
    bias: Tensor2D | null,
    activation: Activation,
    window: Window,
  ): Tensor2D;
  /** dLoss/dx from dLoss/d(convolution + bias). */
  convolveBack(dz: Tensor2D, kernel: Tensor2D, window: Window, through: Through | null): Tensor2D;
  /** sum + dLoss/dKernel: [window * channels, units]. Consumes `sum`; null stands for zeros. */
  addConvolutionGradient(sum: Tensor2D | null, x: Tensor2D, dz: Tensor2D, window: Window): Tensor2D;
  /** Each channel by itself, kernel [1, window * channels * multiplier] -> channels * multiplier channels. */
  depthwise(x: Tensor2D, kernel: Tensor2D, window: Window): Tensor2D;
  depthwiseInputGradient(dy: Tensor2D, kernel: Tensor2D, window: Window, multiplier: number): Tensor2D;
  /** dLoss/dKernel of each sample: [rows, window * channels * multiplier]. */
  depthwiseKernelGradients(x: Tensor2D, dy: Tensor2D, window: Window): Tensor2D;
  maxPool(x: Tensor2D, window: Window): Tensor2D;
  /** Gradients go to the first of several highest numbers. */
  maxPoolGradient(dy: Tensor2D, x: Tensor2D, y: Tensor2D, window: Window, through: Through | null): Tensor2D;
  /** Of what lies inside the image. */
  averagePool(x: Tensor2D, window: Window): Tensor2D;
  averagePoolGradient(dy: Tensor2D, window: Window): Tensor2D;
}

export interface ShapeKernels {
  copy(x: Tensor2D): Tensor2D;
  /** The same numbers in the same order. Consumes x. */
  reshape(x: Tensor2D, rows: number, columns: number): Tensor2D;
  /** Columns [start, start + count) of each `width` adjacent ones. */
  takeColumns(x: Tensor2D, cut: ColumnCut): Tensor2D;
  /** The backward of `takeColumns`: zeros around. */
  putColumns(x: Tensor2D, cut: ColumnCut): Tensor2D;
  /** |sum over a unit's numbers of h * g| for each sample: [rows, units]. */
  unitProducts(h: Tensor2D, g: Tensor2D, layout: UnitLayout): Tensor2D;
}

export interface ColumnCut {
  width: number;
  start: number;
  count: number;
}

/** Number ((o * units + u) * inner + q) of a sample belongs to unit u. */
export interface UnitLayout {
  rows: number;
  outer: number;
  units: number;
  inner: number;
}

/** Which numbers of a matrix dropout keeps: see client/model/dropout.ts. */
export interface DropoutMask {
  key: number;
  threshold: number;
  /** What numbers that are kept are multiplied by. */
  scale: number;
  firstSample: number;
  /** Rows of the matrix for each sample, and how far apart the same column's indices are in them. */
  rowsPerSample: number;
  rowStride: number;
  /** [1, columns]: each column's index in a sample's first row. */
  indices: Tensor2D;
}

/** Between the device and the rest of the program. */
export interface TransferKernels {
  /** The matrix of these numbers, row by row. They may belong to the matrix from then on. */
  upload(numbers: Float32Array, rows: number, columns: number): Tensor2D;
  /** The numbers of a matrix, row by row, in an array of their own; waits until they are computed. */
  download(x: Tensor2D): Float32Array;
}

export interface LossKernels {
  /** Per row: (cross-entropy of the softmax in nats, 1 where the label has the highest score): [rows, 2]. */
  softmaxRows(logits: Tensor2D, labels: Tensor2D): Tensor2D;
  /** (softmax(logits) - onehot(labels)) / rows, from `softmaxRows` of the same: [rows, classes]. */
  softmaxGradient(logits: Tensor2D, labels: Tensor2D, perRow: Tensor2D): Tensor2D;
}
