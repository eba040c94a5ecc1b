import type { ControlOf } from '../../../shared/schema/control.ts';
import type { Metrics } from '../../ports/compute.ts';

/** What a model has scored so far on the test set, micro-batch by micro-batch. */
export class TestScore {
  metrics: Metrics = { lossSum: 0, correct: 0, samples: 0 };
  /** The first micro-batch that has not been counted. */
  next = 0;

  /** False where it is not the next one: it was counted, or one before it was not told of. */
  add({ micro, metrics }: Pick<ControlOf<'evaluated'>, 'micro' | 'metrics'>): boolean {
    if (micro !== this.next) return false;
    this.next++;
    this.metrics = {
      lossSum: this.metrics.lossSum + metrics.lossSum,
      correct: this.metrics.correct + metrics.correct,
      samples: this.metrics.samples + metrics.samples,
    };
    return true;
  }

  /** The model is another one from here on. */
  clear(): void {
    this.next = 0;
    this.metrics = { lossSum: 0, correct: 0, samples: 0 };
  }
}
