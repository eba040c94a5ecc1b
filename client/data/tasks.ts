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

/** 28 x 28 grey images of ten classes: 60,000 for training, 10,000 for the test. */
const greyImages = (name: string, normalisation: Normalisation): Task => ({
  name,
  inputShape: [784],
  classes: 10,
  normalisation,
  train: {
    samples: 60_000,
    sampleFile: idx(`${name}/train-images`, 16, 784),
    labelFile: idx(`${name}/train-labels`, 8, 1),
  },
  test: {
    samples: 10_000,
    sampleFile: idx(`${name}/test-images`, 16, 784),
    labelFile: idx(`${name}/test-labels`, 8, 1),
  },
});

/** MNIST (LeCun, Cortes, Burges): handwritten digits. Fashion-MNIST (Xiao, Rasul, Vollgraf): articles of clothing. */
export const TASKS: Readonly<Record<'mnist' | 'fashion', Task>> = {
  mnist: greyImages('mnist', { mean: 0.1307, deviation: 0.3081 }),
  fashion: greyImages('fashion', { mean: 0.286, deviation: 0.353 }),
};
