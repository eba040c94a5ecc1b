import type { io, Tensor } from '@tensorflow/tfjs-core';
import type { ModelSpec } from '../../shared/model.ts';
import { modelGraph, sizeOf, type ParameterShape } from '../model/graph.ts';
import { overlay } from '../model/pieces.ts';
import type { LayerState, NamedArray } from '../ports/compute.ts';
import { tfLayer } from './tf-layers.ts';

/** What tfjs needs to save or load a model. */
export interface ModelArtifacts {
  modelTopology: object;
  weightSpecs: io.WeightsManifestEntry[];
  weightData: ArrayBuffer;
}

/**
 * The whole model as a tf.LayersModel's artifacts, with the layers' names, from the states of all its layers, which may be in
 * pieces. Its inputs are normalised numbers; a softmax at the end makes its outputs probabilities. Throws naming what is missing.
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
  const whole = buildModel(layers, model);
  const weights: Tensor[] = [];
  try {
    const shapes = new Map(
      modelGraph(model).nodes.flatMap((node) => node.parameters.map((array) => [array.name, array])),
    );
    for (const { originalName } of whole.weights) {
      const shape = shapes.get(originalName)!;
      weights.push(tf.tensor(wholeArray(shape, states).data, shape.shape));
    }
    whole.setWeights(weights);
    return await artifactsOf(whole, tf.io);
  } finally {
    weights.forEach((tensor) => tensor.dispose());
    whole.dispose();
  }
}

type Layers = typeof import('@tensorflow/tfjs-layers');

/** The model in tfjs, its weights not yet set. */
function buildModel({ input, model: functional, layers: make }: Layers, model: ModelSpec): LayersModel {
  const inputs = input({ shape: model.inputShape });
  const outputs = new Map([['input', inputs]]);
  let before = 'input';
  for (const [i, spec] of model.layers.entries()) {
    const isLogits = i === model.layers.length - 1 && spec.kind === 'dense';
    const read = (spec.inputs ?? [before]).map((name) => outputs.get(name)!);
    const output = tfLayer(make, spec, isLogits).apply(read.length === 1 ? read[0] : read);
    outputs.set(spec.name, output as typeof inputs);
    before = spec.name;
  }
  const endsInLogits = model.layers.at(-1)?.kind !== 'dense';
  const last = outputs.get(before)!;
  const scores = endsInLogits ? (make.softmax({ name: 'probabilities' }).apply(last) as typeof inputs) : last;
  return functional({ inputs, outputs: scores, name: model.name.replaceAll(/[^A-Za-z0-9_.-]/g, '_') });
}

/** An array put together from the pieces that peers hold. Throws where any number is missing. */
function wholeArray({ name, shape }: ParameterShape, states: readonly LayerState[]): NamedArray {
  const target: NamedArray = { name, shape, data: new Float32Array(sizeOf(shape)).fill(NaN) };
  for (const piece of states.flatMap(({ parameters }) => parameters)) {
    if (piece.name === name) overlay(shape, target, piece);
  }
  if (target.data.some(Number.isNaN)) {
    throw new Error(`The model cannot be assembled: a part of ${name} is missing.`);
  }
  return target;
}

type LayersModel = ReturnType<Layers['model']>;

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
