import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Metrics } from '../ports/compute.ts';
import type { Kernels } from './kernels/index.ts';

/**
 * Softmax and cross-entropy on logits [rows, classes], the end of a model. In training the sums stay on the device
 * until the step asks for them: a read-back per micro-batch would stall the pipeline.
 */
export class LossHead {
  private readonly kernels: Kernels;
  /** By step: of each micro-batch [rows, 2] (loss, whether correct), summed when they are read. */
  private readonly steps = new Map<number, Tensor2D[]>();

  constructor(kernels: Kernels) {
    this.kernels = kernels;
  }

  /** dLoss/dLogits of the micro-batch's mean loss, [rows, classes]; adds to the step's metrics. */
  train(logits: Tensor2D, labels: Uint8Array, step: number): Tensor2D {
    const { kernels } = this;
    const truth = this.upload(labels);
    const perRow = kernels.softmaxRows(logits, truth);
    const gradient = kernels.softmaxGradient(logits, truth, perRow);
    truth.dispose();
    this.steps.set(step, [...(this.steps.get(step) ?? []), perRow]);
    return gradient;
  }

  evaluate(logits: Tensor2D, labels: Uint8Array): Metrics {
    const truth = this.upload(labels);
    const perRow = this.kernels.softmaxRows(logits, truth);
    truth.dispose();
    const metrics = this.metricsOf([perRow]);
    perRow.dispose();
    return metrics;
  }

  get tensors(): Tensor2D[] {
    return [...this.steps.values()].flat();
  }

  /** The metrics of a step; null: of all since they were forgotten. */
  read(step: number | null): Metrics {
    return this.metricsOf(this.keysOf(step).flatMap((key) => this.steps.get(key)!));
  }

  forget(step: number | null): void {
    for (const key of this.keysOf(step)) {
      for (const perRow of this.steps.get(key)!) perRow.dispose();
      this.steps.delete(key);
    }
  }

  private keysOf(step: number | null): number[] {
    return [...this.steps.keys()].filter((key) => step === null || key === step);
  }

  private upload(labels: Uint8Array): Tensor2D {
    return this.kernels.upload(Float32Array.from(labels), labels.length, 1);
  }

  private metricsOf(perRow: readonly Tensor2D[]): Metrics {
    if (perRow.length === 0) return { lossSum: 0, correct: 0, samples: 0 };
    const sums = this.kernels.addColumnSums(null, perRow);
    const [lossSum, correct] = sums.dataSync<'float32'>();
    sums.dispose();
    const samples = perRow.reduce((total, { shape }) => total + shape[0], 0);
    return { lossSum, correct: Math.round(correct), samples };
  }
}
