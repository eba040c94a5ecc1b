import '@tensorflow/tfjs-backend-webgl';
import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import { openBackend } from '../../client/engine/backend.ts';
import { kernelsOf } from '../../client/engine/kernels/index.ts';

export interface TransferTimes {
  what: string;
  /** Milliseconds of each turn, by arm. */
  times: Record<string, number[]>;
}

const SHAPES = [
  { what: '128 samples of 1,024 units', rows: 128, columns: 1024 },
  { what: '64 images of 14 x 14 by 8 channels', rows: 64 * 14 * 14, columns: 8 },
] as const;
const TURNS = 30;
const FIRST_TURNS = 3;

/** Numbers on their way to the device and back, by tfjs and by our own kernels, in turns. */
async function transferTimes(): Promise<TransferTimes[]> {
  const backend = await openBackend();
  const kernels = kernelsOf(backend.name);
  const ups = {
    tfjs: (numbers: Float32Array, rows: number, columns: number) => tensor2d(numbers, [rows, columns]),
    own: (numbers: Float32Array, rows: number, columns: number) => kernels.upload(numbers, rows, columns),
  };
  const downs = {
    tfjs: (x: Tensor2D) => x.dataSync<'float32'>().slice(),
    own: (x: Tensor2D) => kernels.download(x),
  };
  const settle = (x: Tensor2D) => {
    const sums = kernels.addColumnSums(null, [x]);
    sums.dataSync();
    sums.dispose();
  };
  const all: TransferTimes[] = [];
  for (const { what, rows, columns } of SHAPES) {
    const numbers = Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i));
    const up: TransferTimes = { what: `up: ${what}`, times: { tfjs: [], own: [], 'the sums alone': [] } };
    const down: TransferTimes = { what: `down: ${what}`, times: { tfjs: [], own: [] } };
    const note = (list: number[], start: number, turn: number) => {
      if (turn >= 0) list.push(performance.now() - start);
    };
    for (let turn = -FIRST_TURNS; turn < TURNS; turn++) {
      for (const arm of ['tfjs', 'own'] as const) {
        let start = performance.now();
        const x = ups[arm](numbers.slice(), rows, columns);
        settle(x);
        note(up.times[arm], start, turn);
        start = performance.now();
        settle(x);
        note(up.times['the sums alone'], start, turn);
        const made = kernels.takeColumns(x, { width: columns, start: 0, count: columns });
        settle(made);
        start = performance.now();
        const back = downs[arm](made);
        note(down.times[arm], start, turn);
        if (back.some((value, i) => value !== numbers[i]))
          throw new Error(`${what}: ${arm} changes numbers.`);
        x.dispose();
        made.dispose();
      }
    }
    all.push(up, down);
  }
  return all;
}

Object.assign(globalThis, { transferTimes });
