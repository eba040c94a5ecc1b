import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfig } from '../../shared/schema/config.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import { TASKS } from '../data/tasks.ts';
import type { ModelArtifacts } from '../engine/assemble.ts';

const WEIGHTS_FILE = 'weights.bin';

/** Writes a trained model so that `tf.loadLayersModel` reads it: `model.json` and `weights.bin` in `dir`. */
export async function writeModelFiles(
  dir: string,
  { modelTopology, weightSpecs, weightData }: ModelArtifacts,
  config: RunConfig,
): Promise<void> {
  const { normalisation, classes } = TASKS[config.task];
  const { mean, deviation } = normalisation;
  const model = {
    format: 'layers-model',
    generatedBy: `EdgePipe (protocol ${PROTOCOL_VERSION})`,
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: weightSpecs }],
    userDefinedMetadata: {
      task: config.task,
      inputs: `Pixels (0..255) as (pixel / 255 - ${mean}) / ${deviation}, row by row.`,
      outputs: `Probabilities of the ${classes} classes.`,
      normalisation: { divisor: 255, mean, deviation },
    },
  };
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, WEIGHTS_FILE), new Uint8Array(weightData));
  await writeFile(join(dir, 'model.json'), `${JSON.stringify(model)}\n`);
}
