import type { ModelSpec } from '../../shared/model.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { TASKS } from '../data/tasks.ts';
import { importModel, layerStates, weightFiles } from '../model/import-model.ts';
import type { LayerState } from '../ports/compute.ts';

/** A model that a person chose from the device's files. Rejects with a message for people. */
export async function readUpload(
  chosen: readonly File[],
  task: RunConfig['task'],
): Promise<{ model: ModelSpec; weights: LayerState[] }> {
  const topology = chosen.find(({ name }) => /\.json$/i.test(name));
  if (!topology) {
    throw new Error('Choose the model.json of a saved tf.LayersModel, together with its files of weights.');
  }
  const json = await parsed(topology);
  const files = new Map<string, Uint8Array>();
  for (const path of weightFiles(json)) {
    // Browsers give names without their folders.
    const file = chosen.find(({ name }) => name === path.slice(path.lastIndexOf('/') + 1));
    if (!file) {
      throw new Error(`${topology.name} has its weights in ${path}: choose that file together with it.`);
    }
    files.set(path, new Uint8Array(await file.arrayBuffer()));
  }
  const { inputShape, classes } = TASKS[task];
  const inputs = inputShape.reduce((product, extent) => product * extent, 1);
  const { model, weights } = importModel(json, files, { inputs, classes });
  return { model, weights: weights ? layerStates(weights) : [] };
}

async function parsed(file: File): Promise<unknown> {
  try {
    return JSON.parse(await file.text()) as unknown;
  } catch (error) {
    throw new Error(`${file.name} is no JSON: choose the model.json of a saved tf.LayersModel.`, {
      cause: error,
    });
  }
}
