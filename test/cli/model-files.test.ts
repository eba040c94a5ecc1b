import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, it } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { writeModelFiles } from '../../client/cli/model-files.ts';
import { readModelFile } from '../../client/cli/model-input.ts';
import { runConfig } from '../../client/defaults.ts';
import { assembleModel } from '../../client/engine/assemble.ts';
import { modelGraph, sizeOf } from '../../client/model/graph.ts';
import { layerStates } from '../../client/model/import-model.ts';

/** How plain tfjs reads a model from files where tfjs-node is not there. */
function fromFile(path: string): tf.io.IOHandler {
  return {
    load: async () => {
      const model = JSON.parse(await readFile(path, 'utf8')) as tf.io.ModelJSON;
      return tf.io.getModelArtifactsForJSON(model, async (manifest) => {
        const files = manifest.flatMap((group) => group.paths);
        const parts = await Promise.all(files.map((name) => readFile(join(dirname(path), name))));
        const specs = manifest.flatMap((group) => group.weights);
        return [specs, new Uint8Array(Buffer.concat(parts)).buffer];
      });
    },
  };
}

const dir = await mkdtemp(join(tmpdir(), 'edgepipe-model-'));
after(() => rm(dir, { recursive: true, force: true }));
await tf.setBackend('cpu');

/** A model with numbers of its own for every parameter, and its file. */
async function written(name: string) {
  const config = runConfig({ model: name });
  let next = 0;
  const parameters = modelGraph(config.model).nodes.flatMap((node) => node.parameters);
  const states = layerStates(
    parameters.map(({ name: parameter, shape }) => ({
      name: parameter,
      shape,
      data: Float32Array.from({ length: sizeOf(shape) }, () => Math.abs(Math.sin(next++)) / 8),
    })),
  );
  const saved = join(dir, name.replaceAll(':', '-'), 'model');
  await writeModelFiles(saved, await assembleModel(config.model, states), config);
  return { config, states, file: join(saved, 'model.json') };
}

it('writes a model that plain tfjs loads with the same outputs', async () => {
  const { states, file } = await written('mlp:12-8');
  const model = await tf.loadLayersModel(fromFile(file));
  const layers = model.layers.filter(({ weights }) => weights.length > 0);
  assert.deepEqual(
    layers.map(({ name }) => name),
    ['dense_1', 'dense_2', 'dense_3'],
  );
  for (const [i, state] of states.entries()) {
    for (const [j, weight] of layers[i].getWeights().entries()) {
      assert.deepEqual(await weight.data(), state.parameters[j].data);
    }
  }
  const x = tf.randomNormal([3, 784], 0, 1, 'float32', 1);
  const sums = await (model.predict(x) as tf.Tensor).sum(-1).data();
  for (const sum of sums) assert.ok(Math.abs(sum - 1) < 1e-5, 'outputs are probabilities');

  const json = JSON.parse(await readFile(file, 'utf8')) as tf.io.ModelJSON;
  assert.equal(json.format, 'layers-model');
  assert.match(json.generatedBy!, /EdgePipe/);
  assert.deepEqual(json.userDefinedMetadata!.normalisation, {
    divisor: 255,
    mean: 0.1307,
    deviation: 0.3081,
  });
});

for (const name of ['mlp:12-8', 'cnn:2-3-4', 'resnet']) {
  it(`writes ${name} so that a run can go on from it`, async () => {
    const { config, states, file } = await written(name);
    const { model, weights } = readModelFile(file, { inputs: 784, classes: 10 });
    assert.deepEqual(model.layers, config.model.layers);
    assert.deepEqual(model.inputShape, config.model.inputShape);
    assert.deepEqual(layerStates(weights!), states);
  });
}
