import type { Task } from '../../client/data/tasks.ts';
import type { Origin } from '../../client/ports/storage.ts';
import { randomUniform, randomWord } from '../../shared/counter-random.ts';

const INPUTS = 12;
const CLASSES = 4;
const idx = (file: string, headerBytes: number, itemBytes: number) => ({ file, headerBytes, itemBytes });

/** A data set of random bytes whose labels follow from them: small enough for hundreds of simulated rooms. */
export const TINY: Task = {
  name: 'tiny',
  inputShape: [INPUTS],
  classes: CLASSES,
  normalisation: { mean: 0.5, deviation: 0.29 },
  train: {
    samples: 2_300,
    sampleFile: idx('tiny/train', 16, INPUTS),
    labelFile: idx('tiny/train-labels', 8, 1),
  },
  test: { samples: 700, sampleFile: idx('tiny/test', 16, INPUTS), labelFile: idx('tiny/test-labels', 8, 1) },
};

/** The files as a server would serve them, headers included. */
export function tinyFiles(): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  for (const [key, part] of [TINY.train, TINY.test].entries()) {
    const { headerBytes } = part.sampleFile;
    const samples = new Uint8Array(headerBytes + part.samples * INPUTS);
    const labels = new Uint8Array(part.labelFile.headerBytes + part.samples);
    for (let i = 0; i < part.samples; i++) {
      const sample = samples.subarray(headerBytes + i * INPUTS, headerBytes + (i + 1) * INPUTS);
      for (let j = 0; j < INPUTS; j++) sample[j] = randomWord(11 + key, i, j) & 0xff;
      labels[part.labelFile.headerBytes + i] = classOf(sample);
    }
    files.set(part.sampleFile.file, samples);
    files.set(part.labelFile.file, labels);
  }
  return files;
}

function classOf(sample: Uint8Array): number {
  const scores = Array.from({ length: CLASSES }, (_, c) =>
    sample.reduce((sum, byte, j) => sum + (byte / 255 - 0.5) * (randomUniform(99, c, j) - 0.5), 0),
  );
  return scores.indexOf(Math.max(...scores));
}

/** An origin in memory that can be switched off, as a server that dies. */
export class MemoryOrigin implements Origin {
  isUp = true;
  reads = 0;

  constructor(private readonly files: ReadonlyMap<string, Uint8Array> = tinyFiles()) {}

  read(file: string, start: number, end: number): Promise<Uint8Array> {
    const bytes = this.files.get(file);
    if (!this.isUp || !bytes) return Promise.reject(new Error(`Could not read ${file}.`));
    this.reads++;
    return Promise.resolve(bytes.slice(start, end));
  }
}
