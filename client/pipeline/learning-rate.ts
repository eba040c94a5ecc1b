import type { RunConfig } from '../../shared/schema/config.ts';

/** The learning rate of step `step` (from 0): constant, or falling linearly so that the step after the last would have 0. */
export function learningRateAt({ optimizer, steps }: RunConfig, step: number): number {
  return optimizer.decay === 'constant'
    ? optimizer.learningRate
    : optimizer.learningRate * (1 - step / steps);
}
