import '@tensorflow/tfjs-backend-webgl';
import * as tf from '@tensorflow/tfjs-core';
import { openBackend } from '../../client/engine/backend.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import { browserClock } from '../../client/link/clock.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { readModel } from '../../client/model/models.ts';
import { laneProgram } from '../../client/partition/lane-program.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { oneLaneStage } from '../../client/partition/stages.ts';
import type { ModelSpec, OptimizerConfig } from '../../shared/model.ts';
import { layersModel } from '../support/layers-model.ts';

export interface SoloCase {
  model: string;
  batch: number;
  optimizer: 'sgd' | 'adam';
  /** Arms: the whole model as one block, with so many micro-batches each. */
  microBatches: number[];
  seconds: number;
}

/** Milliseconds of every step, by arm. */
export type SoloTimes = Record<string, number[]>;

type Arm = () => Promise<void>;

const INPUTS = 784;
const CLASSES = 10;
const LEARNING_RATE = 1e-3;
const NORMALISATION = { mean: 0.1307, deviation: 0.3081 };
const FIRST_STEPS = 2;

/** Plain tfjs and a block that holds the whole model train on the same bytes, step by step in turns. */
async function solo({ model: name, batch, optimizer, microBatches, seconds }: SoloCase): Promise<SoloTimes> {
  const backend = await openBackend();
  if (backend.name !== 'webgl') throw new Error(backend.note);
  const model = readModel(name, INPUTS, CLASSES);
  const bytes = Uint8Array.from({ length: batch * INPUTS }, (_, i) => (i * 37) % 256);
  const labels = Uint8Array.from({ length: batch }, (_, i) => i % CLASSES);
  const arms = new Map<string, Arm>([['plain tfjs', plainArm(model, optimizer, bytes, labels)]]);
  for (const count of microBatches) {
    const compute = new TfCompute(backend, 'page', browserClock);
    const config = { kind: optimizer, learningRate: LEARNING_RATE, decay: 'constant' } as const;
    arms.set(`EdgePipe, ${count} a step`, await blockArm(compute, model, config, count, bytes, labels));
  }
  const times: SoloTimes = Object.fromEntries([...arms.keys()].map((arm) => [arm, []]));
  for (const run of arms.values()) for (let i = 0; i < FIRST_STEPS; i++) await run();
  const end = performance.now() + 1000 * seconds;
  while (performance.now() < end) {
    for (const [arm, run] of arms) {
      const start = performance.now();
      await run();
      times[arm].push(performance.now() - start);
    }
  }
  return times;
}

async function blockArm(
  compute: TfCompute,
  model: ModelSpec,
  optimizer: OptimizerConfig,
  microBatches: number,
  bytes: Uint8Array,
  labels: Uint8Array,
): Promise<Arm> {
  const graph = modelGraph(model);
  const rows = labels.length / microBatches;
  const stages = [oneLaneStage([0, graph.nodes.length], 'alone')];
  const { registers, segments } = laneProgram(partitionOf(graph, stages), 0, 0);
  const input = { kind: 'samples', normalisation: NORMALISATION } as const;
  await compute.load({ seed: 1, registers, segments, orders: [], optimizer, input, head: true, rows }, []);
  let step = 0;
  return async () => {
    for (let micro = 0; micro < microBatches; micro++) {
      const [from, to] = [micro * rows, (micro + 1) * rows];
      await compute.forward({
        segment: 0,
        micro,
        step,
        rows,
        training: true,
        input: bytes.slice(from * INPUTS, to * INPUTS),
        labels: labels.slice(from, to),
      });
      await compute.backward({ segment: 0, micro });
    }
    await compute.step({ counted: microBatches, learningRate: LEARNING_RATE });
    step++;
  };
}

function plainArm(
  spec: ModelSpec,
  optimizer: SoloCase['optimizer'],
  bytes: Uint8Array,
  labels: Uint8Array,
): Arm {
  const model = layersModel(spec);
  model.compile({
    optimizer: optimizer === 'adam' ? tf.train.adam(LEARNING_RATE) : tf.train.sgd(LEARNING_RATE),
    loss: (truth, scores) => tf.losses.softmaxCrossEntropy<tf.Tensor, tf.Scalar>(truth, scores),
  });
  const { mean, deviation } = NORMALISATION;
  return async () => {
    const numbers = Float32Array.from(bytes, (byte) => (byte / 255 - mean) / deviation);
    const x = tf.tensor(numbers, [labels.length, ...spec.inputShape]);
    const y = tf.oneHot(tf.tensor1d(labels, 'int32'), CLASSES);
    await model.trainOnBatch(x, y);
    x.dispose();
    y.dispose();
  };
}

Object.assign(globalThis, { solo });
