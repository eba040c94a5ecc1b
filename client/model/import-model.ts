import * as v from 'valibot';
import { LIMITS } from '../../shared/limits.ts';
import type { LayerSpec, ModelSpec } from '../../shared/model.ts';
import { complaint } from '../../shared/schema/common.ts';
import { ModelSpecSchema } from '../../shared/schema/config.ts';
import type { LayerState, NamedArray } from '../ports/compute.ts';
import { modelGraph, parameterCount, sizeOf, type TensorShape } from './graph.ts';
import { layerNodes } from './layer-nodes.ts';
import { assertKnownClass, readLayer, type ReadLayer } from './import/layer-classes.ts';
import { readTopology, statedShape, type SavedLayer } from './import/topology.ts';
import { readWeights, weightFiles } from './import/weights.ts';

export { weightFiles };

export interface ImportedModel {
  model: ModelSpec;
  /** All parameters; null where the file has none, and the run's seed gives them. */
  weights: NamedArray[] | null;
}

/**
 * Reads a tf.LayersModel (`model.json` as tfjs saves it and the Keras converter writes it). A softmax at the end is taken off: the
 * loss has it. Throws a message for people that names what cannot be trained.
 * @param json the file, parsed
 * @param files contents of the files of weights, by their name in `weightFiles(json)`
 */
export function importModel(
  json: unknown,
  files: ReadonlyMap<string, Uint8Array>,
  { inputs, classes }: { inputs: number; classes: number },
): ImportedModel {
  const topology = readTopology(json);
  // Before anything else: layers for other kinds of data also want other samples, and that is not what to mend.
  for (const { config } of topology.layers) assertKnownClass(config);
  const reader = new ModelReader(topology.layers, inputs);
  const model = checked({
    name: topology.name.trim().slice(0, LIMITS.run.layerNameChars) || 'imported',
    inputShape: reader.inputShape,
    layers: reader.read(),
    loss: 'softmaxCrossEntropy',
  });
  const { nodes } = modelGraph(model);
  const outputs = sizeOf(nodes[nodes.length - 1].output.shape);
  if (outputs !== classes) {
    throw new Error(`The model gives ${outputs} numbers for a sample, but the task has ${classes} classes.`);
  }
  if (parameterCount(nodes) === 0) throw new Error('The model has nothing to train: no layer has weights.');
  const parameters = nodes.flatMap((node) =>
    node.parameters.map((parameter) => ({ layer: reader.savedName(node.layer), parameter })),
  );
  const hasWeights = weightFiles(json).length > 0;
  return { model, weights: hasWeights ? readWeights(json, files, parameters) : null };
}

/** Weights as a run takes them to begin with: layer by layer, never trained here. */
export function layerStates(weights: readonly NamedArray[]): LayerState[] {
  const layerOf = ({ name }: NamedArray) => name.slice(0, name.lastIndexOf('/'));
  return [...new Set(weights.map(layerOf))].map((layer) => ({
    layer,
    updates: 0,
    parameters: weights.filter((array) => layerOf(array) === layer),
    optimizer: [],
  }));
}

/** Turns the layers of a file into those of a model, one after the other. */
class ModelReader {
  readonly inputShape: number[];
  readonly #layers: LayerSpec[] = [];
  /** What is known by the names in the file; a model's input is one of them, or under the empty name. */
  readonly #known = new Map<string, { name: string; tensor: TensorShape }>();
  /** Name in the file by name in the model. */
  readonly #savedNames = new Map<string, string>();

  constructor(
    private readonly saved: readonly SavedLayer[],
    inputs: number,
  ) {
    const [first] = saved;
    const shape =
      statedShape(first.config) ?? first.config.refuse('the first layer must state the shape of its input');
    this.inputShape = fitting(shape, saved, inputs);
    const units = this.inputShape[this.inputShape.length - 1];
    const tensor = { shape: this.inputShape, units, outer: inputs / units, inner: 1, space: 0 };
    this.#known.set('', { name: 'input', tensor });
  }

  read(): LayerSpec[] {
    this.saved.forEach((layer, i) => this.#add(layer, i === this.saved.length - 1));
    if (this.#layers.at(-1)?.kind === 'softmax') this.#layers.pop();
    return this.#layers;
  }

  savedName(name: string): string {
    return this.#savedNames.get(name) ?? name;
  }

  #add({ name: savedName, config, inputs }: SavedLayer, isLast: boolean): void {
    if (this.#known.has(savedName)) config.refuse('there is another layer of that name');
    if (config.className === 'InputLayer') {
      if (this.#known.size > 1) config.refuse('an input comes first');
      this.#known.set(savedName, this.#known.get('')!);
      return;
    }
    const sources = (inputs.length > 0 ? inputs : ['']).map((input) => this.#known.get(input)!);
    const tensors = sources.map(({ tensor }) => tensor);
    const { spec, endsInSoftmax }: ReadLayer = readLayer(config, tensors[0].shape);
    if (endsInSoftmax && !isLast) config.refuse('activation "softmax" is supported only at the end of the model');
    const name = this.#free(savedName);
    const before = this.#layers.at(-1)?.name ?? 'input';
    const names = sources.map((source) => source.name);
    const isPlain = names.length === 1 && names[0] === before;
    const layer: LayerSpec = { ...spec, name, ...(isPlain ? {} : { inputs: names }) };
    const { output } = layerNodes(layer, tensors).at(-1)!;
    this.#layers.push(layer);
    this.#savedNames.set(name, savedName);
    this.#known.set(savedName, { name, tensor: { ...output, space: 0 } });
  }

  /** A name that travels: letters, digits, `_`, `.` and `-`, and no other layer's. */
  #free(savedName: string): string {
    const plain = savedName.replaceAll(/[^A-Za-z0-9_.-]/g, '_').slice(0, LIMITS.run.layerNameChars - 4);
    let name = plain === '' ? 'layer' : plain;
    for (let i = 2; name === 'input' || this.#savedNames.has(name); i++) name = `${plain}_${i}`;
    return name;
  }
}

/** The input as the task's samples fill it. */
function fitting(shape: readonly number[], saved: readonly SavedLayer[], inputs: number): number[] {
  const side = Math.sqrt(inputs);
  const isFlat = shape.length === 1;
  const isImage = shape.length === 3 && shape[0] === side && shape[1] === side && shape[2] === 1;
  if (sizeOf(shape) === inputs && (isFlat || isImage)) return [...shape];
  // Many models take an image without its one channel and flatten it at once.
  const entry = saved[0].config.className === 'InputLayer' ? saved[0].name : null;
  const readers = entry === null ? [saved[0]] : saved.filter((layer) => layer.inputs.includes(entry));
  const isReshaped = readers.every(({ config }) => ['Flatten', 'Reshape'].includes(config.className));
  if (shape.length === 2 && shape[0] === side && shape[1] === side && isReshaped) return [side, side, 1];
  throw new Error(
    `The model takes samples of shape [${shape.join(', ')}], but the task's are [${inputs}] or [${side}, ${side}, 1]: give its input one of these shapes.`,
  );
}

function checked(model: ModelSpec): ModelSpec {
  const result = v.safeParse(ModelSpecSchema, model);
  if (result.success) return result.output;
  throw new Error(`The model cannot be trained: ${complaint(result.issues)}.`);
}
