import * as v from 'valibot';
import { REPORT_VERSION } from '../version.ts';
import { RunConfigSchema } from './config.ts';
import { EventSchema, PeerReportSchema } from './control.ts';
import { WIRE_FORMATS } from '../wire.ts';
import { OrderSchema, StageSchema } from './plan.ts';
import { PeerIdSchema } from './signal.ts';
import { ReportSpanSchema } from './timeline.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const BoundaryKindSchema = v.picklist(['slice', 'gather', 'reduce']);

/** A link as measured when the coordinator took office. */
export const ReportLinkSchema = v.strictObject({
  a: PeerIdSchema,
  b: PeerIdSchema,
  rtt_ms: amount,
  loss: share,
  /** Bytes per second. */
  goodput: amount,
});

/** The report of a run: what `npm run swarm -- --report FILE` writes. README.md explains every field. */
export const ReportSchema = v.strictObject({
  version: v.literal(REPORT_VERSION),
  seed: count,
  config: v.object({ ...RunConfigSchema.entries, emulated: v.boolean() }),
  peers: v.array(
    v.strictObject({
      id: PeerIdSchema,
      name: v.string(),
      browser: v.string(),
      /** Such as `webgl (worker)`. */
      backend: v.string(),
      /** Why it is not WebGL in a worker, where it is not. */
      note: v.string(),
      /** Milliseconds for the whole model's forward of one micro-batch where the device is emulated. */
      emulated_ms: v.nullable(amount),
      /** Budget for tensors, where one was set. */
      budget_bytes: v.nullable(count),
      /** Operations per second of this peer's block while it computed; null where it held none. */
      speed: v.nullable(amount),
      blocks: PeerReportSchema.entries.blocks,
      /** Most bytes of tensors at once since its block was loaded. */
      memory_bytes: count,
      memory: v.strictObject({
        tensors: count,
        peak_bytes: count,
        parameters_bytes: count,
        gradients_bytes: count,
        optimizer_bytes: count,
        activations_bytes: count,
      }),
      busy_ms: amount,
      refused: count,
    }),
  ),
  links: v.array(ReportLinkSchema),
  coordinator: v.array(
    v.strictObject({
      term: count,
      peer: PeerIdSchema,
      from_step: count,
      centrality: amount,
      links: v.array(ReportLinkSchema),
    }),
  ),
  plan: v.strictObject({
    version: count,
    stages: v.array(
      v.strictObject({
        ...StageSchema.entries,
        /** Layers of which it has any part. */
        layers: v.array(v.string()),
      }),
    ),
    /** How numbers of parts stood on the wire. */
    wire: v.picklist(WIRE_FORMATS),
    /** Per stage: micro-batches between forward and backward at most, and those whose weight gradients are pending besides. */
    caps: v.array(v.strictObject({ in_flight: count, kept: count })),
    boundaries: v.array(
      v.strictObject({
        kind: BoundaryKindSchema,
        inside_stage: v.boolean(),
        /** The layer whose output crosses. */
        after: v.string(),
        /** Numbers per sample of the whole tensor. */
        width: count,
        /** Sent under this plan, all peers, frame headers included. */
        forward_bytes: count,
        backward_bytes: count,
        /** What the formula gives for each direction. */
        expected_bytes: count,
        expected_backward_bytes: count,
        resent_bytes: count,
        /** Of the frames that others should have sent, the shares that were there in time; null where none should have. */
        forward_used: v.nullable(share),
        backward_used: v.nullable(share),
        /** The same of those that were sent. */
        forward_arrived: v.nullable(share),
        backward_arrived: v.nullable(share),
      }),
    ),
    orders: v.array(OrderSchema),
    standby: v.array(PeerIdSchema),
    predicted: v.strictObject({
      step_ms: amount,
      stage_ms: v.array(amount),
      memory_bytes: v.array(v.array(amount)),
      why: v.string(),
    }),
  }),
  /** In order. A step whose samples all went without an answer (a link was cut under `deadline`) has no loss and is not among them. */
  steps: v.array(
    v.strictObject({ step: count, loss: v.pipe(v.number(), v.finite()), accuracy: share, t_ms: amount }),
  ),
  final: v.strictObject({
    test_accuracy: share,
    test_loss: v.pipe(v.number(), v.finite()),
    test_samples: count,
    stopped_early: v.boolean(),
  }),
  throughput: v.strictObject({ samples_per_second: amount }),
  /** Summed over blocks: each micro-batch ends once at each block. */
  micro_batches: v.strictObject({ whole: count, partial: count, skipped: count }),
  /** Updates that forwards did without, in mean and at most: 0 with `sync`. */
  staleness: v.strictObject({ mean: amount, max: count }),
  wire: v.strictObject({ bytes_sent: count, messages_sent: count }),
  /** Taylor scores of units, by the layer that makes them: mean over samples of |output * gradient|. */
  importance: v.array(v.strictObject({ layer: v.string(), scores: v.array(amount) })),
  /** The latest of what each peer did and when. */
  timelines: v.array(
    v.strictObject({
      peer: PeerIdSchema,
      /** Its clock against the one that `t_ms` of `steps` is on, as measured last; null where that was not measured. */
      clock: v.nullable(v.strictObject({ offset_ms: v.pipe(v.number(), v.finite()), rtt_ms: amount })),
      spans: v.array(ReportSpanSchema),
    }),
  ),
  events: v.array(EventSchema),
});
export type Report = v.InferOutput<typeof ReportSchema>;
