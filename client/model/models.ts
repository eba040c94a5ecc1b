import { LIMITS } from '../../shared/limits.ts';
import type { LayerSpec, ModelSpec } from '../../shared/model.ts';

/** The hidden widths of `mlp` where none are given: four dense layers in all, so that four peers hold a block each. */
const DEFAULT_WIDTHS = [256, 128, 64];

/** A multi-layer perceptron: dense layers with ReLU, then the logits. Layers are named `dense_1`, `dense_2` and so on. */
export function mlp(inputs: number, classes: number, widths: readonly number[] = DEFAULT_WIDTHS): ModelSpec {
  const hidden = widths.map(
    (units, i): LayerSpec => ({ kind: 'dense', name: `dense_${i + 1}`, units, activation: 'relu' }),
  );
  const logits: LayerSpec = {
    kind: 'dense',
    name: `dense_${widths.length + 1}`,
    units: classes,
    activation: 'linear',
  };
  return {
    name: widths === DEFAULT_WIDTHS ? 'mlp' : `mlp:${widths.join('-')}`,
    inputShape: [inputs],
    layers: [...hidden, logits],
    loss: 'softmaxCrossEntropy',
  };
}

/**
 * Reads a model as a person names it: `mlp`, or `mlp:512-512-256` with the hidden widths.
 * Throws a message that lists what there is.
 */
export function readModel(text: string, inputs: number, classes: number): ModelSpec {
  if (text === 'mlp') return mlp(inputs, classes);
  const widths = /^mlp:(\d+(?:-\d+)*)$/.exec(text)?.[1].split('-').map(Number);
  if (!widths || widths.some((units) => units < 1 || units > LIMITS.run.units)) {
    throw new Error(`There is no model "${text}". Use mlp, or mlp:512-256 with the widths of its hidden layers.`);
  }
  if (widths.length >= LIMITS.run.layers) throw new Error(`A model has at most ${LIMITS.run.layers} layers.`);
  return mlp(inputs, classes, widths);
}
