import type { io, Tensor } from '@tensorflow/tfjs-core';
import type { ModelSpec } from '../../shared/model.ts';
import type { LayerState, NamedArray } from '../ports/compute.ts';

/** What tfjs needs to save or load a model. */
export interface ModelArtifacts {
  modelTopology: object;
  weightSpecs: io.WeightsManifestEntry[];
  weightData: ArrayBuffer;
}

/**
 * The whole model as a tf.LayersModel's artifacts, with the layers' names, from the states of all its layers. Its
 * inputs are normalised numbers; a softmax at the end makes its outputs probabilities. Throws naming what is missing.
 */
export async function assembleModel(
  model: ModelSpec,
  states: readonly LayerState[],
): Promise<ModelArtifacts> {
  const [tf, layers] = await Promise.all([
    import('@tensorflow/tfjs-core'),
    import('@tensorflow/tfjs-layers'),
  ]);
  // A page whose computing happens in a worker has no backend of its own.
  if (!tf.getBackend()) {
    await import('@tensorflow/tfjs-backend-cpu');
    await tf.setBackend('cpu');
  }
  const whole = layers.sequential({ name: model.name });
  const weights: Tensor[] = [];
  try {
    model.layers.forEach(({ name, units, activation }, i) => {
      const isLogits = i === model.layers.length - 1 && activation === 'linear';
      whole.add(
        layers.layers.dense({
          name,
          units,
          activation: isLogits ? 'softmax' : activation,
          // Overwritten below: zeros cost nothing to draw.
          kernelInitializer: 'zeros',
          ...(i === 0 ? { inputShape: model.inputShape } : {}),
        }),
      );
      const state = states.find(({ layer }) => layer === name);
      if (!state) throw new Error(`The model cannot be assembled: the state of layer ${name} is missing.`);
      for (const part of ['kernel', 'bias']) {
        const { data, shape } = parameterOf(state, `${name}/${part}`);
        weights.push(tf.tensor(data.slice(), shape));
      }
    });
    if (model.layers.at(-1)?.activation !== 'linear')
      whole.add(layers.layers.softmax({ name: 'probabilities' }));
    whole.setWeights(weights);
    return await artifactsOf(whole, tf.io);
  } finally {
    weights.forEach((tensor) => tensor.dispose());
    whole.dispose();
  }
}

function parameterOf(state: LayerState, name: string): NamedArray {
  const found = state.parameters.find((parameter) => parameter.name === name);
  if (!found) throw new Error(`The model cannot be assembled: ${name} is missing.`);
  return found;
}

type LayersModel = ReturnType<(typeof import('@tensorflow/tfjs-layers'))['sequential']>;

async function artifactsOf(model: LayersModel, tfIo: typeof io): Promise<ModelArtifacts> {
  let saved: ModelArtifacts | null = null;
  await model.save(
    tfIo.withSaveHandler((artifacts) => {
      const { modelTopology, weightSpecs, weightData } = artifacts;
      saved = {
        modelTopology: modelTopology as object,
        weightSpecs: weightSpecs!,
        weightData: tfIo.CompositeArrayBuffer.join(weightData),
      };
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } });
    }),
  );
  return saved!;
}
