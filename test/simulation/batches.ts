import { Loader } from '../../client/data/loader.ts';
import { RoomData } from '../../client/swarm/taking-part/room-data.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Reference, ReferenceBatch } from '../support/reference.ts';
import { MemoryOrigin, TINY } from './tiny-task.ts';

export type Parameters = Map<string, Float32Array>;

/** The same micro-batches, in the same order, as the room reads them. */
export async function batchesOf(config: RunConfig): Promise<ReferenceBatch[][]> {
  const data = new RoomData(TINY, {
    self: 'p000000000',
    storage: { get: () => Promise.resolve(undefined), set: () => Promise.resolve() },
    origin: new MemoryOrigin(),
    alive: () => [],
    fetchChunk: () => Promise.reject(new Error('alone')),
  });
  const rows = config.batch / config.microBatches;
  const loader = new Loader(TINY, data.chunks, config.seed, config.batch, rows);
  const { mean, deviation } = TINY.normalisation;
  const steps: ReferenceBatch[][] = [];
  for (let step = 0; step < config.steps; step++) {
    const batches: ReferenceBatch[] = [];
    for (let micro = 0; micro < config.microBatches; micro++) {
      const bytes = await loader.trainSamples(step, micro);
      const inputs = Float32Array.from(bytes, (byte) => (byte / 255 - mean) / deviation);
      batches.push({ inputs, labels: await loader.trainLabels(step, micro), rows });
    }
    steps.push(batches);
  }
  return steps;
}

/** ||a - b|| / ||b||. */
function relative(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array) => Math.hypot(...values);
  return norm(a.map((x, i) => x - b[i])) / norm(b);
}

/** The largest relative error of any array. */
export const worst = (got: Parameters, wanted: Parameters): number =>
  Math.max(...[...wanted].map(([name, data]) => relative(got.get(name)!, data)));

export const asMap = (reference: Reference): Parameters =>
  new Map(reference.parameters().map(({ name, data }) => [name, data]));
