import type { RunConfig } from '../../shared/schema/config.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import { TASKS } from '../data/tasks.ts';
import type { ModelArtifacts } from './assemble.ts';

/** The file that holds the weights, beside `model.json`. */
export const WEIGHTS_FILE = 'weights.bin';

/** What `model.json` of a tfjs LayersModel says: `tf.loadLayersModel` takes it and finds the weights beside it. */
export function modelJson({ modelTopology, weightSpecs }: ModelArtifacts, { task }: RunConfig): object {
  const { normalisation, classes } = TASKS[task];
  const { mean, deviation } = normalisation;
  return {
    format: 'layers-model',
    generatedBy: `EdgePipe (protocol ${PROTOCOL_VERSION})`,
    convertedBy: null,
    modelTopology,
    weightsManifest: [{ paths: [WEIGHTS_FILE], weights: weightSpecs }],
    userDefinedMetadata: {
      task,
      inputs: `Pixels (0..255) as (pixel / 255 - ${mean}) / ${deviation}, row by row.`,
      outputs: `Probabilities of the ${classes} classes.`,
      normalisation: { divisor: 255, mean, deviation },
    },
  };
}
