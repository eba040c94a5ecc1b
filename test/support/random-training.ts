import fc from 'fast-check';
import type { OptimizerConfig } from '../../shared/model.ts';
import { CLASSES, modelArbitrary, type Smoothness } from './random-model.ts';
import { cutModelArbitrary } from './random-partition.ts';
import type { Training } from './training.ts';

const RATES: Readonly<Record<OptimizerConfig['kind'], number>> = { sgd: 0.1, momentum: 0.05, adam: 0.01 };

/** Any small model, cut in any way, and a few steps of any optimizer. */
export const trainingArbitrary = (smoothness: Smoothness): fc.Arbitrary<Training> =>
  fc
    .record({
      cut: cutModelArbitrary(modelArbitrary(smoothness)),
      kind: fc.constantFrom('sgd' as const, 'momentum' as const, 'adam' as const),
      seed: fc.nat(1000),
      rows: fc.integer({ min: 4, max: 8 }),
      steps: fc.integer({ min: 3, max: 5 }),
    })
    .map(({ cut, kind, ...rest }) => ({
      ...cut,
      ...rest,
      optimizer: { kind, learningRate: RATES[kind], decay: 'constant' },
      microBatches: 2,
      classes: CLASSES,
    }));
