import { TASKS } from './data/tasks.ts';
import { readModel } from './model/models.ts';
import type { RunConfig } from '../shared/schema/config.ts';

/** What a person may choose; everything has a default that trains well. */
export interface RunChoices {
  task?: RunConfig['task'];
  model?: string;
  steps?: number;
  batch?: number;
  microBatches?: number;
  optimizer?: RunConfig['optimizer']['kind'];
  learningRate?: number;
  decay?: RunConfig['optimizer']['decay'];
  seed?: number;
  onDeparture?: RunConfig['onDeparture'];
}

/** Learning rates that hold on MNIST over a few hundred steps of 128 samples, falling linearly to zero. */
const LEARNING_RATES: Record<RunConfig['optimizer']['kind'], number> = {
  adam: 3e-3,
  momentum: 0.05,
  sgd: 0.3,
};

/** A whole configuration from some choices. Throws a message for people where the model is unknown. */
export function runConfig(choices: RunChoices = {}): RunConfig {
  const task = choices.task ?? 'mnist';
  const { inputShape, classes } = TASKS[task];
  const optimizer = choices.optimizer ?? 'adam';
  return {
    task,
    model: readModel(choices.model ?? 'mlp', inputShape[0], classes),
    steps: choices.steps ?? 600,
    batch: choices.batch ?? 128,
    microBatches: choices.microBatches ?? 4,
    optimizer: {
      kind: optimizer,
      learningRate: choices.learningRate ?? LEARNING_RATES[optimizer],
      decay: choices.decay ?? 'linear',
    },
    seed: choices.seed ?? 1,
    onDeparture: choices.onDeparture ?? 'ask',
  };
}
