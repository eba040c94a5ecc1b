import type { NamedArray } from '../../ports/compute.ts';
import { sizeOf, type ParameterShape } from '../graph.ts';
import { isRecord, shown } from './layer-config.ts';

interface SavedArray {
  name: string;
  shape: number[];
  data: Float32Array;
}

/** The files that hold the weights, in order; none where the model has no weights. Throws a message for people. */
export function weightFiles(json: unknown): string[] {
  return groupsOf(json).flatMap(({ paths }) => paths);
}

/**
 * The weights of a saved model.
 * @param files by their name in `weightFiles`
 * @param parameters what the model has, with the layer's name in the file
 */
export function readWeights(
  json: unknown,
  files: ReadonlyMap<string, Uint8Array>,
  parameters: readonly { layer: string; parameter: ParameterShape }[],
): NamedArray[] {
  const unused = new Set(groupsOf(json).flatMap((group) => arraysOf(group, files)));
  const weights = parameters.map(({ layer, parameter }) => {
    const found = [...unused].filter(({ name }) => isNameOf(name, layer, parameter.name));
    if (found.length === 0) throw new Error(`The file has no weights for ${parameter.name}.`);
    if (found.length > 1) throw new Error(`The file has several weights for ${parameter.name}.`);
    const [{ shape, data }] = found;
    unused.delete(found[0]);
    if (shape.join() !== parameter.shape.join()) {
      throw new Error(
        `The weights for ${parameter.name} have shape [${shape.join(', ')}], not [${parameter.shape.join(', ')}].`,
      );
    }
    return { name: parameter.name, shape, data };
  });
  const [left] = unused;
  if (unused.size > 0) throw new Error(`The weights ${left.name} belong to no layer of the model.`);
  return weights;
}

/** Keras puts other names before or between those of layer and parameter; version 3 calls every kernel so. */
function isNameOf(saved: string, layer: string, name: string): boolean {
  const kind = name.slice(name.lastIndexOf('/') + 1);
  const kinds = kind === 'depthwise_kernel' ? [kind, 'kernel'] : [kind];
  return kinds.some((end) => {
    if (!saved.endsWith(`/${end}`)) return false;
    const scope = `/${saved.slice(0, -end.length)}`;
    return scope.startsWith(`/${layer}/`) || scope.endsWith(`/${layer}/`);
  });
}

interface Group {
  paths: string[];
  weights: unknown[];
}

function groupsOf(json: unknown): Group[] {
  const manifest = isRecord(json) ? (json.weightsManifest ?? []) : [];
  if (!Array.isArray(manifest)) throw new Error('The list of weights (weightsManifest) is damaged.');
  return manifest.map((group: unknown) => {
    const { paths, weights } = isRecord(group) ? group : {};
    const isFine =
      Array.isArray(paths) && Array.isArray(weights) && paths.every((path) => typeof path === 'string');
    if (!isFine) throw new Error('The list of weights (weightsManifest) is damaged.');
    return { paths, weights };
  });
}

function arraysOf({ paths, weights }: Group, files: ReadonlyMap<string, Uint8Array>): SavedArray[] {
  const bytes = joined(
    paths.map((path) => {
      const file = files.get(path);
      if (!file) throw new Error(`The weights are in ${path}, which is missing: it belongs beside model.json.`);
      return file;
    }),
  );
  let at = 0;
  const arrays = weights.map((entry): SavedArray & { group: unknown } => {
    const { name, shape, dtype, quantization, group } = isRecord(entry) ? entry : {};
    const isFine =
      typeof name === 'string' &&
      Array.isArray(shape) &&
      shape.every((extent) => Number.isSafeInteger(extent) && (extent as number) >= 0);
    if (!isFine) throw new Error(`The list of weights (weightsManifest) is damaged at ${shown(entry)}.`);
    if (quantization !== undefined) {
      throw new Error(`The weights ${name} are quantized: convert the model without quantization.`);
    }
    if (dtype !== 'float32') {
      throw new Error(`The weights ${name} are of type ${shown(dtype)}: only float32 is supported.`);
    }
    const size = 4 * sizeOf(shape as number[]);
    if (at + size > bytes.length) {
      throw new Error(`${paths.join(', ')}: the file ends within the weights ${name}. Save the model again.`);
    }
    const data = new Float32Array(bytes.slice(at, at + size).buffer);
    at += size;
    if (!data.every(Number.isFinite)) throw new Error(`The weights ${name} have numbers that are not finite.`);
    return { name, shape: shape as number[], data, group };
  });
  if (at !== bytes.length) {
    throw new Error(`${paths.join(', ')}: ${bytes.length - at} bytes more than the weights need. Save the model again.`);
  }
  // tf.LayersModel.save with includeOptimizer adds the optimizer's; a run begins with its own.
  return arrays.filter(({ group }) => group !== 'optimizer').map(({ name, shape, data }) => ({ name, shape, data }));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
