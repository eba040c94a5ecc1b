import type { ModelSpec } from '../shared/model.ts';
import type { LossRule, RunConfig } from '../shared/schema/config.ts';
import type { Faults } from '../shared/schema/faults.ts';
import { TASKS } from './data/tasks.ts';
import { readModel } from './model/models.ts';

/** What a person may choose; everything has a default that trains well. */
export interface RunChoices {
  task?: RunConfig['task'];
  /** By its name, or as data. */
  model?: string | ModelSpec;
  partition?: RunConfig['partition'];
  grid?: RunConfig['grid'];
  shares?: RunConfig['shares'];
  wire?: RunConfig['wire'];
  schedule?: NonNullable<RunConfig['schedule']>;
  /** Where left out: `deadline` if there are faults, else links are trusted. */
  rule?: LossRule;
  faults?: Faults;
  /** False: no part goes several times. */
  copies?: boolean;
  steps?: number;
  batch?: number;
  microBatches?: number;
  optimizer?: RunConfig['optimizer']['kind'];
  learningRate?: number;
  decay?: RunConfig['optimizer']['decay'];
  seed?: number;
  onDeparture?: RunConfig['onDeparture'];
}

type Rates = Readonly<Record<RunConfig['optimizer']['kind'], number>>;

/** Learning rates that hold on MNIST over a few hundred steps of 128 samples, falling linearly to zero. */
const DENSE_RATES: Rates = { adam: 3e-3, momentum: 0.05, sgd: 0.3 };
const CONVOLUTION_RATES: Rates = { adam: 5e-3, momentum: 0.05, sgd: 0.1 };
/** Of models with batch normalization. */
const NORMALISED_RATES: Rates = { adam: 1e-2, momentum: 0.1, sgd: 0.5 };

/** A whole configuration from some choices. Throws a message for people where the model is unknown. */
export function runConfig(choices: RunChoices = {}): RunConfig {
  const task = choices.task ?? 'mnist';
  const { inputShape, classes } = TASKS[task];
  const { model: chosen = 'mlp' } = choices;
  const model = typeof chosen === 'string' ? readModel(chosen, inputShape[0], classes) : chosen;
  const optimizer = choices.optimizer ?? 'adam';
  const { faults, rule = faults && 'deadline' } = choices;
  return {
    task,
    model,
    partition: choices.partition ?? 'auto',
    grid: choices.grid ?? null,
    shares: choices.shares ?? 'measured',
    wire: choices.wire ?? 'auto',
    ...(choices.schedule && { schedule: choices.schedule }),
    ...(rule && { rule }),
    ...(faults && { faults }),
    ...(choices.copies === false && { copies: false }),
    steps: choices.steps ?? 600,
    batch: choices.batch ?? 128,
    microBatches: choices.microBatches ?? 4,
    optimizer: {
      kind: optimizer,
      learningRate: choices.learningRate ?? ratesOf(model)[optimizer],
      decay: choices.decay ?? 'linear',
    },
    seed: choices.seed ?? 1,
    onDeparture: choices.onDeparture ?? 'ask',
  };
}

function ratesOf({ layers }: ModelSpec): Rates {
  const has = (kind: ModelSpec['layers'][number]['kind']) => layers.some((layer) => layer.kind === kind);
  if (has('batchNormalization')) return NORMALISED_RATES;
  return has('conv2d') || has('depthwiseConv2d') ? CONVOLUTION_RATES : DENSE_RATES;
}
