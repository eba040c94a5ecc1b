import type { OptimizerConfig } from '../../shared/model.ts';
import { distance, norm } from '../support/numbers.ts';
import { trainReference, type Arrays, type Training } from '../support/training.ts';
import { CLASSES, gridOf, modelNamed, shuffledOrders, type ModelName, type Size } from './named-models.ts';

export type Kind = OptimizerConfig['kind'];
export type Smoothness = 'smooth' | 'kinked';
export type GridShape = readonly [stages: number, lanes: number];

type Rates = Readonly<Record<Kind, number>>;

const RATES: Readonly<Record<Size, Rates>> = {
  small: { sgd: 0.1, momentum: 0.02, adam: 0.003 },
  // At 0.003 the whole `mlp` with Adam is off by 5e-5 from itself when the last bit of the samples changes.
  full: { sgd: 0.1, momentum: 0.02, adam: 0.001 },
};
/**
 * At 0.1 `resnet` is chaotic on samples that have nothing to teach: after 100 steps plain tfjs is off by 1e-3 from itself when the
 * last bit of the samples changes.
 */
const RESNET_RATES: Readonly<Record<Size, Rates>> = {
  small: { sgd: 0.01, momentum: 0.002, adam: 0.003 },
  full: { sgd: 0.01, momentum: 0.002, adam: 0.001 },
};

/** Steps over two micro-batches of 4 rows of a model that people get by name, its units in another order. */
export function trainingOf(
  name: ModelName,
  smoothness: Smoothness,
  kind: Kind,
  [stages, lanes]: GridShape,
  { size = 'small', steps = 100, rate }: { size?: Size; steps?: number; rate?: number } = {},
): Training {
  const model = modelNamed(name, smoothness, size);
  const usual = name === 'resnet' ? RESNET_RATES : RATES;
  return {
    model,
    stages: gridOf(name, model, stages, lanes),
    orders: shuffledOrders(model, stages),
    optimizer: { kind, learningRate: rate ?? usual[size][kind], decay: 'constant' },
    seed: 7,
    rows: 4,
    microBatches: 2,
    steps,
    classes: CLASSES[size],
  };
}

/** The reference does not know how a model is cut: one training of it is enough for all grids. */
const references = new Map<string, ReturnType<typeof trainReference>>();

export function referenceOf(training: Training, parts = 1): ReturnType<typeof trainReference> {
  const key = JSON.stringify([training.model, training.optimizer, training.steps, parts]);
  let found = references.get(key);
  if (!found) references.set(key, (found = trainReference(training, { parts })));
  return found;
}

/** The largest relative error of a tensor, and whose it is. */
export function worstTensor(got: Arrays, wanted: Arrays): { name: string; error: number } {
  let worst = { name: '', error: 0 };
  for (const [name, data] of wanted) {
    const error = distance(got.get(name)!, data) / norm(data);
    // Also where it is no number.
    if (!(error <= worst.error)) worst = { name, error };
  }
  return worst;
}
