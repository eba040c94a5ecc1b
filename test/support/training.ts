import assert from 'node:assert/strict';
import type { Metrics, NamedArray } from '../../client/ports/compute.ts';
import type { ModelSpec, OptimizerConfig } from '../../shared/model.ts';
import type { Order, Stage } from '../../shared/schema/plan.ts';
import { Grid } from './grid.ts';
import { byteBatch, distance, norm, nudged, referenceBatch, type ByteBatch } from './numbers.ts';
import { Reference, type ReferenceBatch } from './reference.ts';

/** A training that a grid and the reference can both do. */
export interface Training {
  model: ModelSpec;
  stages: Stage[];
  orders: Order[];
  optimizer: OptimizerConfig;
  seed: number;
  rows: number;
  microBatches: number;
  steps: number;
  classes: number;
}

export type Arrays = ReadonlyMap<string, Float32Array>;

export const asMap = (arrays: readonly NamedArray[]): Arrays =>
  new Map(arrays.map(({ name, data }) => [name, data]));

export const batchesOf = (training: Training, step: number): ByteBatch[] =>
  Array.from({ length: training.microBatches }, (_, micro) =>
    byteBatch(
      training.model.inputShape,
      training.classes,
      training.rows,
      // Keys that no two micro-batches of a training share, nor neighbouring seeds.
      training.seed * 100_003 + step * training.microBatches + micro,
    ),
  );

const asTheyAre = (batch: ReferenceBatch): ReferenceBatch => batch;

/** The reference after all steps: on what `change` makes of the micro-batches, with sums over inputs made in so many parts. */
export function trainReference(
  training: Training,
  {
    change = asTheyAre,
    parts = 1,
  }: { change?: (batch: ReferenceBatch) => ReferenceBatch; parts?: number } = {},
): { parameters: Arrays; losses: number[] } {
  const reference = new Reference({ ...training, parts });
  const losses: number[] = [];
  for (let step = 0; step < training.steps; step++) {
    const batches = batchesOf(training, step).map((batch) => change(referenceBatch(batch)));
    losses.push(reference.step(batches, training.optimizer.learningRate, step).loss);
  }
  const parameters = asMap(reference.parameters());
  reference.dispose();
  return { parameters, losses };
}

/** Of other rows than training has. */
const testBatch = ({ model, classes, rows, seed }: Training): ByteBatch =>
  byteBatch(model.inputShape, classes, rows - 1, seed);

export async function trainGrid(
  training: Training,
): Promise<{ parameters: Arrays; losses: number[]; test: Metrics }> {
  const grid = await Grid.open(training);
  try {
    const losses: number[] = [];
    for (let step = 0; step < training.steps; step++) {
      losses.push(await grid.step(batchesOf(training, step), training.optimizer.learningRate, step));
    }
    const test = await grid.evaluate(testBatch(training));
    return { parameters: asMap(await grid.parameters()), losses, test };
  } finally {
    grid.close();
  }
}

/** Cross-entropy and right answers of a batch by the reference, forward only, with parameters from elsewhere. */
function evaluated(training: Training, parameters: Arrays, batch: ByteBatch): Omit<Metrics, 'samples'> {
  const reference = new Reference(training);
  reference.setParameters(parameters);
  const probabilities = reference.predict(referenceBatch(batch).inputs, batch.rows);
  reference.dispose();
  let lossSum = 0;
  let correct = 0;
  batch.labels.forEach((label, row) => {
    const own = probabilities.subarray(row * training.classes, (row + 1) * training.classes);
    lossSum -= Math.log(own[label]);
    if (own.indexOf(Math.max(...own)) === label) correct++;
  });
  return { lossSum, correct };
}

/** What was found in comparing, over many trainings. */
export interface Tally {
  tensors: number;
  /** Tensors beyond the bound that rounding alone decides. */
  rounding: number;
  /** The largest relative error of the others. */
  worst: number;
}

export const newTally = (): Tally => ({ tensors: 0, rounding: 0, worst: 0 });

/**
 * Every tensor within `bound` of the reference, the loss of every step, and an evaluation at the end. A parameter whose true gradient is zero (a bias before
 * batch normalization) or nearly so is made of rounding: beyond the bound, a tensor may be as far off as ten times what the reference
 * is off when the last bit of its inputs changes. What such a parameter does to outputs is in the losses.
 * @param wanted where it is known already
 */
export async function assertEqualTraining(
  training: Training,
  bound: number,
  tally: Tally,
  wanted = trainReference(training),
): Promise<void> {
  const got = await trainGrid(training);
  wanted.losses.forEach((loss, step) => {
    const error = Math.abs(got.losses[step] - loss);
    assert.ok(
      error <= bound * Math.max(loss, 0.1),
      `loss of step ${step} is ${got.losses[step]}, not ${loss}`,
    );
  });
  const test = evaluated(training, got.parameters, testBatch(training));
  assert.ok(
    Math.abs(got.test.lossSum - test.lossSum) <= bound * Math.max(test.lossSum, 1),
    `loss over test samples is ${got.test.lossSum}, not ${test.lossSum}`,
  );
  assert.equal(got.test.correct, test.correct, 'right answers of test samples');
  let others: Arrays[] | null = null;
  for (const [name, data] of wanted.parameters) {
    const error = distance(got.parameters.get(name)!, data);
    const scale = scaleOf(name, wanted.parameters);
    tally.tensors++;
    if (error <= bound * scale) {
      tally.worst = Math.max(tally.worst, error === 0 ? 0 : error / scale);
      continue;
    }
    tally.rounding++;
    others ??= [1, 2, 3].map(
      (key) => trainReference(training, { change: (batch) => nudged(batch, key) }).parameters,
    );
    const own = Math.max(...others.map((other) => distance(other.get(name)!, data)));
    assert.ok(
      error <= 10 * own,
      `${name}: relative error ${error / scale}, and the reference's own by rounding is ${own / scale}`,
    );
  }
}

/** What an error counts in proportion to: a tensor's norm; of a mean, which may be zero, at least the deviation around it. */
function scaleOf(name: string, parameters: Arrays): number {
  const own = norm(parameters.get(name)!);
  if (!name.endsWith('/moving_mean')) return own;
  return Math.max(own, norm(parameters.get(name.replace('_mean', '_variance'))!.map(Math.sqrt)));
}

export interface StepTally {
  steps: number;
  /** Steps of which every tensor's update was as it should be. */
  close: number;
}

/**
 * From equal state, step by step: whether every update is within `bound` of the reference's, or as near as rounding lets it be. Gives
 * the parameters after all steps.
 * @param isNudged whether zero gradients are to be expected, so that a nudged reference must say how large their rounding is
 */
export async function tallySteps(
  training: Training,
  bound: number,
  tally: StepTally,
  isNudged: boolean,
): Promise<Arrays> {
  const grid = await Grid.open(training);
  const plain = new Reference(training);
  const other = isNudged ? new Reference(training) : null;
  const { learningRate } = training.optimizer;
  const oneStep = (reference: Reference, before: Arrays, batches: ReferenceBatch[], step: number): Arrays => {
    reference.setParameters(before);
    reference.step(batches, learningRate, step);
    return asMap(reference.parameters());
  };
  try {
    let before = asMap(await grid.parameters());
    for (let step = 0; step < training.steps; step++) {
      const batches = batchesOf(training, step);
      const references = batches.map(referenceBatch);
      const nudges = references.map((batch) => nudged(batch, 1));
      const wanted = oneStep(plain, before, references, step);
      const nudge = other ? oneStep(other, before, nudges, step) : wanted;
      await grid.step(batches, learningRate, step);
      const after = asMap(await grid.parameters());
      tally.steps++;
      if (isClose(before, after, wanted, nudge, bound)) tally.close++;
      before = after;
    }
    return before;
  } finally {
    plain.dispose();
    other?.dispose();
    grid.close();
  }
}

/** A weight is rounded when it is updated, here and there: twice half of the last of 24 bits. */
const ROUNDING = 2 ** -23;

const isClose = (before: Arrays, got: Arrays, wanted: Arrays, nudge: Arrays, bound: number): boolean =>
  [...wanted].every(([name, data]) => {
    const update = distance(data, before.get(name)!);
    const own = 10 * distance(nudge.get(name)!, data);
    return distance(got.get(name)!, data) <= Math.max(bound * update, own) + ROUNDING * scaleOf(name, wanted);
  });
