import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Metrics } from '../ports/compute.ts';
import type { Kernels } from './kernels/index.ts';

/**
 * Softmax and cross-entropy on logits [rows, classes], the end of a model. In training the sums stay on the device
 * until the step asks for them: a read-back per micro-batch would stall the pipeline.
 */
export class LossHead {
  private readonly kernels: Kernels;
  /** By step: [1, 2] (sum of losses, correct), and of how many samples. */
  private readonly steps = new Map<number, { sums: Tensor2D; samples: number }>();

  constructor(kernels: Kernels) {
    this.kernels = kernels;
  }

  /** dLoss/dLogits of the micro-batch's mean loss, [rows, classes]; adds to the step's metrics. */
  train(logits: Tensor2D, labels: Uint8Array, step: number): Tensor2D {
    return this.withRows(logits, labels, (perRow, truth) => {
      const gradient = this.kernels.softmaxGradient(logits, truth, perRow);
      const known = this.steps.get(step);
      const sums = this.kernels.addColumnSums(known?.sums ?? null, perRow);
      this.steps.set(step, { sums, samples: (known?.samples ?? 0) + labels.length });
      return gradient;
    });
  }

  evaluate(logits: Tensor2D, labels: Uint8Array): Metrics {
    return this.withRows(logits, labels, (perRow) => {
      const sums = this.kernels.addColumnSums(null, perRow);
      const metrics = readMetrics(sums, labels.length);
      sums.dispose();
      return metrics;
    });
  }

  get tensors(): Tensor2D[] {
    return [...this.steps.values()].map(({ sums }) => sums);
  }

  /** The metrics of a step; null: of all since they were forgotten. */
  read(step: number | null): Metrics {
    const total = { lossSum: 0, correct: 0, samples: 0 };
    for (const key of this.keysOf(step)) {
      const { sums, samples } = this.steps.get(key)!;
      const { lossSum, correct } = readMetrics(sums, samples);
      total.lossSum += lossSum;
      total.correct += correct;
      total.samples += samples;
    }
    return total;
  }

  forget(step: number | null): void {
    for (const key of this.keysOf(step)) {
      this.steps.get(key)!.sums.dispose();
      this.steps.delete(key);
    }
  }

  private keysOf(step: number | null): number[] {
    return [...this.steps.keys()].filter((key) => step === null || key === step);
  }

  private withRows<T>(
    logits: Tensor2D,
    labels: Uint8Array,
    use: (perRow: Tensor2D, truth: Tensor2D) => T,
  ): T {
    const truth = this.kernels.upload(Float32Array.from(labels), labels.length, 1);
    const perRow = this.kernels.softmaxRows(logits, truth);
    const result = use(perRow, truth);
    truth.dispose();
    perRow.dispose();
    return result;
  }
}

function readMetrics(sums: Tensor2D, samples: number): Metrics {
  const [lossSum, correct] = sums.dataSync<'float32'>();
  return { lossSum, correct: Math.round(correct), samples };
}
