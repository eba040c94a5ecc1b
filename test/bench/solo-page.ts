import '@tensorflow/tfjs-backend-webgl';
import * as tf from '@tensorflow/tfjs-core';
import { runConfig } from '../../client/defaults.ts';
import { openBackend } from '../../client/engine/backend.ts';
import { readModel } from '../../client/model/models.ts';
import type { ModelSpec } from '../../shared/model.ts';
import { layersModel } from '../support/layers-model.ts';
import { roomOfOne } from './room-of-one.ts';

export interface SoloCase {
  model: string;
  batch: number;
  optimizer: 'sgd' | 'adam';
  /** Arms: a room of one, with so many micro-batches a step each. */
  microBatches: number[];
  /** Plain tfjs takes turns with them, too. */
  withPlain: boolean;
}

/** Milliseconds of every step, by arm. */
export type SoloTimes = Record<string, number[]>;

/** For automation: what this page has done. */
export interface SoloPage {
  /** Makes the arms and lets each have its first turns. */
  openArms: (wish: SoloCase) => Promise<void>;
  /** The arms that are named take so many turns; all of them where none is. */
  takeTurns: (wish: { turns: number; arms?: string[] }) => Promise<SoloTimes>;
}

export const PLAIN = 'plain tfjs';
export const alone = (microBatches: number): string =>
  `EdgePipe, ${microBatches} ${microBatches === 1 ? 'micro-batch' : 'micro-batches'}`;

type Arm = () => Promise<void>;

const INPUTS = 784;
const CLASSES = 10;
const LEARNING_RATE = 1e-3;
const NORMALISATION = { mean: 0.1307, deviation: 0.3081 };
const FIRST_TURNS = 2;

/** Plain tfjs and rooms of one, which train the same model. */
const arms = new Map<string, Arm>();

async function openArms(wish: SoloCase): Promise<void> {
  const { model: name, batch, optimizer, microBatches, withPlain } = wish;
  const backend = await openBackend();
  if (backend.name !== 'webgl') throw new Error(backend.note);
  if (withPlain) arms.set(PLAIN, plainArm(readModel(name, INPUTS, CLASSES), optimizer, batch));
  for (const count of microBatches) {
    const choices = { model: name, batch, optimizer, learningRate: LEARNING_RATE } as const;
    const config = runConfig({
      ...choices,
      microBatches: count,
      decay: 'constant',
      steps: 1_000_000,
      onDeparture: 'continue',
    });
    arms.set(alone(count), await roomOfOne(config));
  }
  await takeTurns({ turns: FIRST_TURNS });
}

/** Step by step in turns. */
async function takeTurns({ turns, arms: names = [...arms.keys()] }: { turns: number; arms?: string[] }) {
  const times: SoloTimes = Object.fromEntries(names.map((arm) => [arm, []]));
  const order = [...arms].filter(([arm]) => names.includes(arm));
  for (let turn = 0; turn < turns; turn++) {
    // Who comes first changes, so that no arm always follows the same other.
    for (const [arm, run] of turn % 2 === 0 ? order : order.toReversed()) {
      const start = performance.now();
      await run();
      times[arm].push(performance.now() - start);
    }
  }
  return times;
}

function plainArm(spec: ModelSpec, optimizer: SoloCase['optimizer'], batch: number): Arm {
  const bytes = Uint8Array.from({ length: batch * INPUTS }, (_, i) => (i * 37) % 256);
  const labels = Uint8Array.from({ length: batch }, (_, i) => i % CLASSES);
  const model = layersModel(spec);
  model.compile({
    optimizer: optimizer === 'adam' ? tf.train.adam(LEARNING_RATE) : tf.train.sgd(LEARNING_RATE),
    loss: (truth, scores) => tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(truth, scores),
  });
  const { mean, deviation } = NORMALISATION;
  return async () => {
    const numbers = Float32Array.from(bytes, (byte) => (byte / 255 - mean) / deviation);
    const x = tf.tensor(numbers, [batch, ...spec.inputShape]);
    const y = tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES);
    await model.trainOnBatch(x, y);
    x.dispose();
    y.dispose();
  };
}

Object.assign(globalThis, { openArms, takeTurns } satisfies SoloPage);
