import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { ModelArtifacts } from '../engine/assemble.ts';
import { modelJson, WEIGHTS_FILE } from '../engine/model-json.ts';

/** Writes a trained model so that `tf.loadLayersModel` reads it: `model.json` and `weights.bin` in `dir`. */
export async function writeModelFiles(dir: string, model: ModelArtifacts, config: RunConfig): Promise<void> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, WEIGHTS_FILE), new Uint8Array(model.weightData));
  await writeFile(join(dir, 'model.json'), `${JSON.stringify(modelJson(model, config))}\n`);
}
