import '@tensorflow/tfjs-backend-webgl';
import * as tf from '@tensorflow/tfjs-core';
import { Loader } from '../../client/data/loader.ts';
import { TASKS } from '../../client/data/tasks.ts';
import { browserClock } from '../../client/link/clock.ts';
import { HttpOrigin } from '../../client/link/origin.ts';
import { RoomData } from '../../client/swarm/taking-part/room-data.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { Reference } from '../support/reference.ts';

/** One optimizer step of the whole model on this device, by plain tfjs on WebGL, on the samples that a room would take. */
async function oneStep(config: RunConfig, learningRate: number): Promise<Record<string, number[]>> {
  if (!(await tf.setBackend('webgl'))) throw new Error('no WebGL');
  const task = TASKS[config.task];
  const data = new RoomData(task, {
    self: 'p000000000',
    storage: { get: () => Promise.resolve(undefined), set: () => Promise.resolve() },
    origin: new HttpOrigin({ clock: browserClock }),
    alive: () => [],
    fetchChunk: () => Promise.reject(new Error('alone')),
  });
  const rows = config.batch / config.microBatches;
  const loader = new Loader(task, data.chunks, config.seed, config.batch, rows);
  const { mean, deviation } = task.normalisation;
  const batches = [];
  for (let micro = 0; micro < config.microBatches; micro++) {
    const bytes = await loader.trainSamples(0, micro);
    const inputs = Float32Array.from(bytes, (byte) => (byte / 255 - mean) / deviation);
    batches.push({ inputs, labels: await loader.trainLabels(0, micro), rows });
  }
  const reference = new Reference({ model: config.model, seed: config.seed, optimizer: config.optimizer });
  reference.step(batches, learningRate);
  return Object.fromEntries(reference.parameters().map(({ name, data: values }) => [name, [...values]]));
}

Object.assign(globalThis, { oneStep });
