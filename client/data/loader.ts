import { LIMITS } from '../../shared/limits.ts';
import { SampleOrder } from './order.ts';
import { chunkCount, type ChunkStore } from './chunks.ts';
import type { DataFile, DataPart, Task } from './tasks.ts';

/** Gives micro-batches: bytes of samples to the first stage, labels to the loss head. */
export class Loader {
  readonly #order: SampleOrder;
  readonly #testRows: number;

  constructor(
    private readonly task: Task,
    private readonly chunks: ChunkStore,
    seed: number,
    private readonly batch: number,
    private readonly rows: number,
  ) {
    this.#testRows = Math.max(rows, LIMITS.run.evaluationRowsMin);
    this.#order = new SampleOrder(task.train.samples, seed);
  }

  /** Training samples of one micro-batch: bytes [rows, sample bytes]. */
  trainSamples(step: number, micro: number): Promise<Uint8Array> {
    return this.#gather(this.task.train, this.task.train.sampleFile, this.#trainIndices(step, micro));
  }

  /** Their labels: [rows]. */
  trainLabels(step: number, micro: number): Promise<Uint8Array> {
    return this.#gather(this.task.train, this.task.train.labelFile, this.#trainIndices(step, micro));
  }

  testSamples(micro: number): Promise<Uint8Array> {
    return this.#gather(this.task.test, this.task.test.sampleFile, this.#testIndices(micro));
  }

  testLabels(micro: number): Promise<Uint8Array> {
    return this.#gather(this.task.test, this.task.test.labelFile, this.#testIndices(micro));
  }

  /** Micro-batches of one pass over the test set, in order. */
  get testMicros(): number {
    return Math.ceil(this.task.test.samples / this.#testRows);
  }

  testRows(micro: number): number {
    return Math.min(this.#testRows, this.task.test.samples - micro * this.#testRows);
  }

  #trainIndices(step: number, micro: number): Uint32Array {
    return this.#order.slice(step * this.batch + micro * this.rows, this.rows);
  }

  #testIndices(micro: number): Uint32Array {
    const first = micro * this.#testRows;
    return Uint32Array.from({ length: this.testRows(micro) }, (_, i) => first + i);
  }

  async #gather(part: DataPart, file: DataFile, indices: Uint32Array): Promise<Uint8Array> {
    const out = new Uint8Array(indices.length * file.itemBytes);
    let chunk = -1;
    let bytes: Uint8Array = new Uint8Array();
    for (let i = 0; i < indices.length; i++) {
      const wanted = Math.floor(indices[i] / LIMITS.data.chunkSamples);
      if (wanted !== chunk) {
        if (wanted >= chunkCount(part))
          throw new Error(`Sample ${indices[i]} is beyond the end of ${file.file}.`);
        chunk = wanted;
        bytes = await this.chunks.get({ file: file.file, chunk });
      }
      const from = (indices[i] - chunk * LIMITS.data.chunkSamples) * file.itemBytes;
      out.set(bytes.subarray(from, from + file.itemBytes), i * file.itemBytes);
    }
    return out;
  }
}
