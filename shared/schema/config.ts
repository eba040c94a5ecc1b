import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { WIRE_CHOICES } from '../wire.ts';
import { name, real, whole } from './common.ts';
import { FaultsSchema } from './faults.ts';

const LayerNameSchema = v.pipe(name(LIMITS.run.layerNameChars), v.regex(/^[A-Za-z0-9_.-]+$/));

const ActivationSchema = v.picklist(['linear', 'relu', 'tanh', 'sigmoid']);
const extent = whole(1, LIMITS.run.units);
const PairSchema = v.tuple([whole(1, LIMITS.run.extent), whole(1, LIMITS.run.extent)]);
const named = {
  name: LayerNameSchema,
  inputs: v.optional(v.pipe(v.array(LayerNameSchema), v.minLength(1), v.maxLength(8))),
};
const windowed = { strides: PairSchema, padding: v.picklist(['same', 'valid']) };
const trained = { activation: ActivationSchema, useBias: v.boolean() };
const normalising = { epsilon: v.pipe(real(0, 1), v.gtValue(0)), center: v.boolean(), scale: v.boolean() };

export const LayerSpecSchema = v.variant('kind', [
  v.strictObject({ kind: v.literal('dense'), ...named, units: extent, ...trained }),
  v.strictObject({
    kind: v.literal('conv2d'),
    ...named,
    units: extent,
    kernelSize: PairSchema,
    ...windowed,
    ...trained,
  }),
  v.strictObject({
    kind: v.literal('depthwiseConv2d'),
    ...named,
    kernelSize: PairSchema,
    multiplier: whole(1, LIMITS.run.extent),
    ...windowed,
    ...trained,
  }),
  v.strictObject({ kind: v.literal('maxPooling2d'), ...named, poolSize: PairSchema, ...windowed }),
  v.strictObject({ kind: v.literal('averagePooling2d'), ...named, poolSize: PairSchema, ...windowed }),
  v.strictObject({ kind: v.literal('globalAveragePooling2d'), ...named }),
  v.strictObject({ kind: v.literal('flatten'), ...named }),
  v.strictObject({
    kind: v.literal('reshape'),
    ...named,
    shape: v.pipe(v.array(extent), v.minLength(1), v.maxLength(3)),
  }),
  v.strictObject({ kind: v.literal('activation'), ...named, activation: ActivationSchema }),
  v.strictObject({ kind: v.literal('leakyRelu'), ...named, alpha: real(0, 1) }),
  v.strictObject({ kind: v.literal('dropout'), ...named, rate: v.pipe(real(0, 1), v.ltValue(1)) }),
  v.strictObject({ kind: v.literal('batchNormalization'), ...named, momentum: real(0, 1), ...normalising }),
  v.strictObject({ kind: v.literal('layerNormalization'), ...named, ...normalising }),
  v.strictObject({ kind: v.literal('softmax'), ...named }),
  v.strictObject({ kind: v.literal('add'), ...named }),
]);

export const ModelSpecSchema = v.strictObject({
  name: name(LIMITS.run.layerNameChars),
  inputShape: v.pipe(v.array(extent), v.minLength(1), v.maxLength(3)),
  layers: v.pipe(v.array(LayerSpecSchema), v.minLength(1), v.maxLength(LIMITS.run.layers)),
  loss: v.literal('softmaxCrossEntropy'),
});

export const OptimizerSchema = v.strictObject({
  kind: v.picklist(['sgd', 'momentum', 'adam']),
  learningRate: v.pipe(real(0, 100), v.gtValue(0)),
  decay: v.picklist(['linear', 'constant']),
});

export const LossRuleSchema = v.picklist(['deadline', 'stall', 'discard', 'repair']);
export type LossRule = v.InferOutput<typeof LossRuleSchema>;

/** One training run, as the person who presses Start asks for it. */
export const RunConfigSchema = v.pipe(
  v.strictObject({
    task: v.picklist(['mnist', 'fashion']),
    model: ModelSpecSchema,
    /** How the model is cut: stages and lanes, stages alone, lanes alone, or what the planner finds best. */
    partition: v.picklist(['auto', 'hybrid', 'vertical', 'horizontal']),
    /** Stages and lanes; null: the planner's choice. */
    grid: v.nullable(
      v.strictObject({ stages: whole(1, LIMITS.room.peers), lanes: whole(1, LIMITS.room.peers) }),
    ),
    /** Slices in proportion to measured speed, or all alike (to see what that costs). */
    shares: v.picklist(['measured', 'even']),
    /**
     * How numbers of parts stand on the wire in training; a test of the model always has float32. `auto`: float32, but int8 under a
     * rule for lost parts where the plan finds steps much faster with it.
     */
    wire: v.picklist(WIRE_CHOICES),
    /** By what units are ordered when a plan is made anew; left out: by importance. The others are for experiments. */
    ordering: v.optional(v.picklist(['importance', 'random', 'reverse'])),
    steps: whole(1, LIMITS.run.steps),
    /** Samples per optimizer step. */
    batch: whole(1, LIMITS.run.batch),
    microBatches: whole(1, LIMITS.run.microBatches),
    /** `sync` (where left out): every step waits for all its gradients, as on one device. `async`: steps overlap, on weights a step old. */
    schedule: v.optional(v.picklist(['sync', 'async'])),
    /**
     * What becomes of parts that are late or lost. `deadline`: blocks go on without them. `repair`: they are asked for again a few
     * times before that. `stall`: they are asked for until they come. `discard`: their micro-batch is dropped. Left out: links are
     * trusted to lose nothing, every part is waited for.
     */
    rule: v.optional(LossRuleSchema),
    /** Under `deadline`: whether small parts go several times over links that lose them; left out: they do. */
    copies: v.optional(v.boolean()),
    /** Longest wait between two requests for a part, in milliseconds; left out: the engine's own. */
    resendMs: v.optional(real(LIMITS.pipeline.resendLeastMs, LIMITS.pipeline.resendMostMs)),
    /** For experiments: what happens to parts on their way. */
    faults: v.optional(FaultsSchema),
    optimizer: OptimizerSchema,
    seed: whole(0, 0x7fffffff),
    /** When a peer leaves: go on with the rest at once, or wait until somebody says so. */
    onDeparture: v.picklist(['continue', 'ask']),
  }),
  v.check(
    ({ batch, microBatches }) => batch % microBatches === 0,
    'The batch does not divide into that many micro-batches of equal size.',
  ),
  v.check(
    ({ rule, faults }) => rule !== undefined || !faults,
    'Faults need a rule for what becomes of lost parts: deadline, stall, discard or repair.',
  ),
);
export type RunConfig = v.InferOutput<typeof RunConfigSchema>;
