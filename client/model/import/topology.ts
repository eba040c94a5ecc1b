import { LIMITS } from '../../../shared/limits.ts';
import { isRecord, LayerConfig, shown } from './layer-config.ts';

/** One layer as it stands in the file. */
export interface SavedLayer {
  name: string;
  config: LayerConfig;
  /** The layers that it reads. */
  inputs: string[];
}

export interface SavedTopology {
  name: string;
  /** In an order in which each comes after those it reads; the last one is the model's output. */
  layers: SavedLayer[];
}

const FORMS = 'EdgePipe reads a tfjs LayersModel: a Sequential or a functional model';

/** The layers of a saved model (`model.json`, or the topology alone). Throws a message for people. */
export function readTopology(json: unknown): SavedTopology {
  if (!isRecord(json)) throw new Error(`This is no saved model. ${FORMS}.`);
  if (json.format === 'graph-model') {
    throw new Error(`This is a graph model, which can only be run, not trained. ${FORMS}.`);
  }
  let topology: unknown = json.modelTopology ?? json;
  if (isRecord(topology)) topology = topology.model_config ?? topology.modelConfig ?? topology;
  if (!isRecord(topology)) throw new Error(`This file has no model in it. ${FORMS}.`);
  const className = topology.class_name ?? topology.className;
  const config = isRecord(topology.config) ? topology.config : { layers: topology.config };
  const saved: unknown[] = Array.isArray(config.layers) ? config.layers : [];
  if (saved.length === 0) throw new Error(`This file has no layers in it. ${FORMS}.`);
  // Inputs and dropped softmax layers are not counted in the end.
  if (saved.length > 2 * LIMITS.run.layers) {
    throw new Error(`This model has ${saved.length} layers; at most ${LIMITS.run.layers} can be trained.`);
  }
  const name = typeof config.name === 'string' ? config.name : 'imported';
  switch (className) {
    case 'Sequential':
      return { name, layers: sequential(saved) };
    case 'Model':
    case 'Functional':
      return { name, layers: functional(saved, config) };
    default:
      throw new Error(`A model of class ${shown(className)} cannot be read. ${FORMS}.`);
  }
}

/** The shape that an InputLayer, or the first layer of a Sequential, states; null where it states none. */
export function statedShape(config: LayerConfig): number[] | null {
  const stated = config.get('batch_input_shape') ?? config.get('batch_shape');
  if (!Array.isArray(stated)) return null;
  const [, ...shape] = stated as unknown[];
  const isWhole = shape.every((extent): extent is number => Number.isSafeInteger(extent));
  return isWhole ? shape : config.refuse(`its input has no fixed shape: ${shown(stated)}`);
}

function sequential(saved: readonly unknown[]): SavedLayer[] {
  const layers = saved.map((entry) => layerOf(entry, 'Sequential'));
  return layers.map((layer, i) => ({ ...layer, inputs: i === 0 ? [] : [layers[i - 1].name] }));
}

function functional(saved: readonly unknown[], config: Record<string, unknown>): SavedLayer[] {
  const layers = saved.map((entry): SavedLayer => {
    const layer = layerOf(entry, 'functional');
    const { inbound_nodes, inboundNodes } = entry as Record<string, unknown>;
    const calls = inbound_nodes ?? inboundNodes ?? [];
    if (!Array.isArray(calls)) layer.config.refuse('what it reads cannot be understood');
    const [call, ...more]: unknown[] = calls as unknown[];
    if (more.length > 0) layer.config.refuse('it is used more than once, which is not supported');
    return { ...layer, inputs: call === undefined ? [] : tensorsOf(call, layer.config) };
  });
  const inputs = endsOf(config.input_layers ?? config.inputLayers);
  const outputs = endsOf(config.output_layers ?? config.outputLayers);
  if (inputs.length !== 1) throw new Error(`This model has ${inputs.length} inputs: only one is supported.`);
  if (outputs.length !== 1)
    throw new Error(`This model has ${outputs.length} outputs: only one is supported.`);
  return inOrder(layers, outputs[0]);
}

function layerOf(entry: unknown, kind: string): SavedLayer {
  if (!isRecord(entry)) throw new Error(`A layer of this ${kind} model cannot be understood: ${shown(entry)}.`);
  const { class_name, className, config } = entry;
  const given = class_name ?? className;
  const options = isRecord(config) ? config : {};
  const name = options.name ?? entry.name;
  if (typeof given !== 'string' || typeof name !== 'string') {
    throw new Error(`A layer of this ${kind} model has no name or no class: ${shown(entry)}.`);
  }
  return { name, config: new LayerConfig(name, given, options), inputs: [] };
}

/** Names in one call of a layer: `[["a", 0, 0, {}], ["b", 0, 0, {}]]`, or Keras 3's `{ args: [tensor or list of them] }`. */
function tensorsOf(call: unknown, config: LayerConfig): string[] {
  const args: unknown[] = isRecord(call) ? [call.args].flat(2) : Array.isArray(call) ? call : [call];
  return args.map((tensor) => {
    const [name, node, index] = Array.isArray(tensor) ? (tensor as unknown[]) : historyOf(tensor);
    if (typeof name !== 'string' || node !== 0 || index !== 0) {
      return config.refuse(`what it reads cannot be understood: ${shown(tensor)}`);
    }
    return name;
  });
}

function historyOf(tensor: unknown): unknown[] {
  const config = isRecord(tensor) ? tensor.config : null;
  const history = isRecord(config) ? config.keras_history : null;
  return Array.isArray(history) ? history : [];
}

/** `[["a", 0, 0]]`, or `["a", 0, 0]` where there is one. */
function endsOf(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  const ends: unknown[] = typeof value[0] === 'string' ? [value] : value;
  return ends.map((end) => String(Array.isArray(end) ? end[0] : end));
}

/** The layers that lead to the output, each after those it reads, otherwise as in the file. */
function inOrder(layers: readonly SavedLayer[], output: string): SavedLayer[] {
  const byName = new Map(layers.map((layer) => [layer.name, layer]));
  const needed = new Set<SavedLayer>();
  const open = [{ name: output, reader: 'The output of the model' }];
  for (let next = open.pop(); next; next = open.pop()) {
    const layer = byName.get(next.name);
    if (!layer) throw new Error(`${next.reader} reads ${next.name}, which is not in the file.`);
    if (needed.has(layer)) continue;
    needed.add(layer);
    open.push(...layer.inputs.map((name) => ({ name, reader: `Layer ${layer.name}` })));
  }
  const ordered: SavedLayer[] = [];
  const placed = new Set<string>();
  const waiting = layers.filter((layer) => needed.has(layer));
  while (waiting.length > 0) {
    const next = waiting.findIndex(({ inputs }) => inputs.every((name) => placed.has(name)));
    if (next < 0) throw new Error(`Layer ${waiting[0].name} reads what comes after it.`);
    const [layer] = waiting.splice(next, 1);
    placed.add(layer.name);
    ordered.push(layer);
  }
  return ordered;
}
