import { LIMITS } from '../../shared/limits.ts';
import type { LayerSpec, ModelSpec } from '../../shared/model.ts';
import { resnet } from './resnet.ts';

/** The hidden widths of `mlp` where none are given: four dense layers in all, so that four peers hold a block each. */
const DEFAULT_WIDTHS = [256, 128, 64];
/** Filters of the two convolutions of `cnn` and units of its dense layer, where none are given. */
const DEFAULT_CNN = [8, 16, 64] as const;

/** What there is, for messages and helps. */
export const MODEL_NAMES =
  'mlp, mlp:512-256 with the widths of its hidden layers, cnn, cnn:16-32-128 with the filters of its two convolutions ' +
  'and the units of its dense layer, or resnet';

/** A multi-layer perceptron: dense layers with ReLU, then the logits. Layers are named `dense_1`, `dense_2` and so on. */
export function mlp(inputs: number, classes: number, widths: readonly number[] = DEFAULT_WIDTHS): ModelSpec {
  const hidden = widths.map((units, i) => dense(`dense_${i + 1}`, units, 'relu'));
  return {
    name: widths === DEFAULT_WIDTHS ? 'mlp' : `mlp:${widths.join('-')}`,
    inputShape: [inputs],
    layers: [...hidden, dense(`dense_${widths.length + 1}`, classes, 'linear')],
    loss: 'softmaxCrossEntropy',
  };
}

/** Two convolutions, each with ReLU and a pooling that halves the image, a dense layer, and the logits. */
export function cnn(
  side: number,
  classes: number,
  sizes: readonly [first: number, second: number, units: number] = DEFAULT_CNN,
): ModelSpec {
  const convolution = (index: number): LayerSpec[] => [
    {
      kind: 'conv2d',
      name: `conv2d_${index}`,
      units: sizes[index - 1],
      kernelSize: [5, 5],
      strides: [1, 1],
      padding: 'same',
      activation: 'relu',
      useBias: true,
    },
    {
      kind: 'maxPooling2d',
      name: `max_pooling2d_${index}`,
      poolSize: [2, 2],
      strides: [2, 2],
      padding: 'valid',
    },
  ];
  return {
    name: sizes === DEFAULT_CNN ? 'cnn' : `cnn:${sizes.join('-')}`,
    inputShape: [side, side, 1],
    layers: [
      ...convolution(1),
      ...convolution(2),
      { kind: 'flatten', name: 'flatten_1' },
      dense('dense_1', sizes[2], 'relu'),
      dense('dense_2', classes, 'linear'),
    ],
    loss: 'softmaxCrossEntropy',
  };
}

/**
 * Reads a model as a person names it: `mlp`, `mlp:512-512-256` with the hidden widths, `cnn`, `cnn:16-32-128`, `resnet`.
 * Throws a message that lists what there is.
 */
export function readModel(text: string, inputs: number, classes: number): ModelSpec {
  const [, kind, list] = /^(mlp|cnn|resnet)(?::(\d+(?:-\d+)*))?$/.exec(text) ?? [];
  const sizes = (list as string | undefined)?.split('-').map(Number);
  const isPossible = sizes?.every((size) => size >= 1 && size <= LIMITS.run.units) ?? true;
  if (isPossible && kind === 'mlp') {
    if (sizes && sizes.length >= LIMITS.run.layers) {
      throw new Error(`A model has at most ${LIMITS.run.layers} layers.`);
    }
    return mlp(inputs, classes, sizes);
  }
  if (isPossible && kind === 'cnn') {
    if (!sizes) return cnn(sideOf(text, inputs), classes);
    const [first, second, units, ...rest] = sizes;
    if (sizes.length >= 3 && rest.length === 0) return cnn(sideOf(text, inputs), classes, [first, second, units]);
  }
  if (kind === 'resnet' && !sizes) return resnet(sideOf(text, inputs), classes);
  throw new Error(`There is no model "${text}". Use ${MODEL_NAMES}.`);
}

const dense = (name: string, units: number, activation: 'relu' | 'linear'): LayerSpec => ({
  kind: 'dense',
  name,
  units,
  activation,
  useBias: true,
});

/** Convolutions read the samples as a square image of one channel. */
function sideOf(text: string, inputs: number): number {
  const side = Math.round(Math.sqrt(inputs));
  if (side * side === inputs) return side;
  throw new Error(`The model ${text} reads square images, and samples of ${inputs} numbers are none. Use mlp.`);
}
