import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { name, real, whole } from './common.ts';

const LayerNameSchema = v.pipe(name(LIMITS.run.layerNameChars), v.regex(/^[A-Za-z0-9_.-]+$/));

export const LayerSpecSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('dense'),
    name: LayerNameSchema,
    units: whole(1, LIMITS.run.units),
    activation: v.picklist(['linear', 'relu', 'tanh', 'sigmoid']),
  }),
]);

export const ModelSpecSchema = v.pipe(
  v.strictObject({
    name: name(LIMITS.run.layerNameChars),
    inputShape: v.pipe(v.array(whole(1, LIMITS.run.units)), v.minLength(1), v.maxLength(3)),
    layers: v.pipe(v.array(LayerSpecSchema), v.minLength(1), v.maxLength(LIMITS.run.layers)),
    loss: v.literal('softmaxCrossEntropy'),
  }),
  v.check(
    ({ layers }) => new Set(layers.map((layer) => layer.name)).size === layers.length,
    'Two layers share a name.',
  ),
  v.check(
    ({ layers }) => layers.at(-1)!.activation === 'linear',
    'The last layer gives the logits: it is linear.',
  ),
);

export const OptimizerSchema = v.strictObject({
  kind: v.picklist(['sgd', 'momentum', 'adam']),
  learningRate: v.pipe(real(0, 100), v.gtValue(0)),
  decay: v.picklist(['linear', 'constant']),
});

/** One training run, as the person who presses Start asks for it. */
export const RunConfigSchema = v.pipe(
  v.strictObject({
    task: v.picklist(['mnist']),
    model: ModelSpecSchema,
    steps: whole(1, LIMITS.run.steps),
    /** Samples per optimizer step. */
    batch: whole(1, LIMITS.run.batch),
    microBatches: whole(1, LIMITS.run.microBatches),
    optimizer: OptimizerSchema,
    seed: whole(0, 0x7fffffff),
    /** When a peer leaves: go on with the rest at once, or wait until somebody says so. */
    onDeparture: v.picklist(['continue', 'ask']),
  }),
  v.check(
    ({ batch, microBatches }) => batch % microBatches === 0,
    'The batch does not divide into that many micro-batches of equal size.',
  ),
);
export type RunConfig = v.InferOutput<typeof RunConfigSchema>;
