import type { Normalisation } from '../../shared/model.ts';

/** One half of a task: samples and labels as byte files behind fixed headers (IDX). */
export interface DataPart {
  samples: number;
  sampleFile: DataFile;
  labelFile: DataFile;
}

export interface DataFile {
  /** As the server names it under /data/. */
  file: string;
  headerBytes: number;
  /** Bytes per sample. */
  itemBytes: number;
}

export interface Task {
  name: string;
  inputShape: number[];
  classes: number;
  normalisation: Normalisation;
  train: DataPart;
  test: DataPart;
}

const idx = (file: string, headerBytes: number, itemBytes: number): DataFile => ({
  file,
  headerBytes,
  itemBytes,
});

/** MNIST (LeCun, Cortes, Burges): 28 x 28 grey images of handwritten digits. */
const MNIST: Task = {
  name: 'mnist',
  inputShape: [784],
  classes: 10,
  normalisation: { mean: 0.1307, deviation: 0.3081 },
  train: {
    samples: 60_000,
    sampleFile: idx('mnist/train-images', 16, 784),
    labelFile: idx('mnist/train-labels', 8, 1),
  },
  test: {
    samples: 10_000,
    sampleFile: idx('mnist/test-images', 16, 784),
    labelFile: idx('mnist/test-labels', 8, 1),
  },
};

export const TASKS: Readonly<Record<'mnist', Task>> = { mnist: MNIST };
