import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { Metrics } from '../ports/compute.ts';
import type { Kernels } from './kernels/index.ts';

/**
 * Softmax and cross-entropy on logits [rows, classes], the end of a model. In training the sums stay on the device
 * until the step asks for them: a read-back per micro-batch would stall the pipeline.
 */
export class LossHead {
  private readonly kernels: Kernels;
  /** [1, 2]: (sum of losses, correct) since the last `take`. */
  private sums: Tensor2D | null = null;
  private samples = 0;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
  }

  /** dLoss/dLogits of the micro-batch's mean loss, [rows, classes]; adds to the step's metrics. */
  train(logits: Tensor2D, labels: Uint8Array): Tensor2D {
    return this.withRows(logits, labels, (perRow, truth) => {
      const gradient = this.kernels.softmaxGradient(logits, truth, perRow);
      this.sums = this.kernels.addColumnSums(this.sums, perRow);
      this.samples += labels.length;
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
    return this.sums ? [this.sums] : [];
  }

  /** The metrics since the last `forget`. */
  read(): Metrics {
    return this.sums ? readMetrics(this.sums, this.samples) : { lossSum: 0, correct: 0, samples: 0 };
  }

  forget(): void {
    this.sums?.dispose();
    this.sums = null;
    this.samples = 0;
  }

  private withRows<T>(
    logits: Tensor2D,
    labels: Uint8Array,
    use: (perRow: Tensor2D, truth: Tensor2D) => T,
  ): T {
    const truth = tensor2d(Float32Array.from(labels), [labels.length, 1]);
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
