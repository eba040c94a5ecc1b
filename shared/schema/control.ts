import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { name, real, text, whole } from './common.ts';
import { RunConfigSchema } from './config.ts';
import { PlanSchema, TermSchema } from './plan.ts';
import { PeerIdSchema } from './signal.ts';

/** Messages from peer to peer on the control channel (reliable, ordered). PROTOCOL.md says who sends which when. */

const u32 = whole(0, 0xffffffff);
const steps = whole(0, LIMITS.run.steps);
const ms = real(0, 1e9);
const layerName = name(LIMITS.run.layerNameChars);
/** Which micro-batch. */
const item = { step: steps, micro: whole(0, LIMITS.run.microBatches) };
/** Which plan a message is about. */
const planKey = v.strictObject({ term: TermSchema, version: whole(1, 0xffffffff) });
export type PlanKey = v.InferOutput<typeof planKey>;

export const QualitySchema = v.strictObject({
  rttMs: ms,
  /** Share of heartbeats lost, 0..1. */
  loss: real(0, 1),
  /** Bytes per second that arrived, measured on a burst. */
  goodput: real(1, 1e12),
});
export type Quality = v.InferOutput<typeof QualitySchema>;

const row = v.pipe(
  v.array(v.strictObject({ peer: PeerIdSchema, ...QualitySchema.entries })),
  v.maxLength(LIMITS.room.peers),
);

export const DeviceSchema = v.strictObject({
  backend: v.picklist(['webgl', 'cpu']),
  where: v.picklist(['worker', 'page', 'process']),
  note: text(300),
  /** Units that it computes at once. */
  grain: whole(1, 64),
  /** The processor itself computes, too: what it does for the network, it does not do for training. */
  onProcessor: v.boolean(),
  emulatedMs: v.nullable(ms),
  /** Budget for tensors; null: none was set. */
  memoryBytes: v.nullable(whole(1, 1e15)),
  browser: text(80),
});

export const MetricsSchema = v.strictObject({
  lossSum: real(-1e12, 1e12),
  correct: whole(0, 1e9),
  samples: whole(0, 1e9),
});

export const PhaseSchema = v.picklist([
  'idle',
  'preparing',
  'training',
  'paused',
  'evaluating',
  'finished',
  'failed',
]);
export type Phase = v.InferOutput<typeof PhaseSchema>;

export const EventSchema = v.looseObject({ t_ms: ms, type: name(40), message: text(600) });
export type RunEvent = v.InferOutput<typeof EventSchema>;

/** Scores of the units of one layer's outputs, by unit; 0 for units that others have. */
export const ScoresSchema = v.strictObject({
  space: whole(0, LIMITS.run.layers),
  /** The first position that is meant. */
  start: whole(0, LIMITS.run.units),
  scores: v.pipe(v.array(real(0, 1e30)), v.maxLength(LIMITS.run.orderedUnits)),
});
export type Scores = v.InferOutput<typeof ScoresSchema>;
const scores = v.pipe(v.array(ScoresSchema), v.maxLength(LIMITS.run.layers));

export const BlockReportSchema = v.strictObject({
  layers: v.array(layerName),
  parameters: v.pipe(
    v.array(v.strictObject({ name: name(100), shape: v.array(whole(1, LIMITS.run.units)) })),
    v.maxLength(LIMITS.run.layers * 8),
  ),
});

/** Packets of other peers' parts: of those wanted, how many were sent, and how many were used. */
const use = v.strictObject({ wanted: whole(0, 1e15), sent: whole(0, 1e15), used: whole(0, 1e15) });

export const PeerReportSchema = v.strictObject({
  id: PeerIdSchema,
  name: name(LIMITS.room.nameChars),
  device: DeviceSchema,
  blocks: v.pipe(v.array(BlockReportSchema), v.maxLength(8)),
  memory: v.strictObject({
    tensors: whole(0, 1e9),
    bytes: whole(0, 1e15),
    peakBytes: whole(0, 1e15),
    accounted: v.strictObject({
      parametersBytes: whole(0, 1e15),
      gradientsBytes: whole(0, 1e15),
      optimizerBytes: whole(0, 1e15),
      activationsBytes: whole(0, 1e15),
    }),
  }),
  ledger: v.strictObject({ whole: u32, partial: u32, skipped: u32 }),
  /** Updates that forwards did without: their sum over so many micro-batches, and the most. */
  staleness: v.strictObject({ micros: u32, sum: whole(0, 1e15), max: u32 }),
  wire: v.strictObject({ bytesSent: whole(0, 1e15), messagesSent: whole(0, 1e15) }),
  /** What it sent over each boundary in training, frame headers included, and what it used of what came. */
  traffic: v.pipe(
    v.array(
      v.strictObject({
        boundary: whole(0, LIMITS.run.nodes * 2),
        forwardBytes: whole(0, 1e15),
        backwardBytes: whole(0, 1e15),
        /** Sent again on request. */
        resentBytes: whole(0, 1e15),
        forward: use,
        backward: use,
      }),
    ),
    v.maxLength(LIMITS.run.nodes),
  ),
  importance: scores,
  /** Milliseconds this peer computed since the run began. */
  busyMs: ms,
  refused: u32,
});
export type PeerReport = v.InferOutput<typeof PeerReportSchema>;

export const FinalSchema = v.strictObject({
  metrics: MetricsSchema,
  stepsDone: steps,
  trainingMs: ms,
  stoppedEarly: v.boolean(),
});
export type Final = v.InferOutput<typeof FinalSchema>;

/** What may be asked of another peer as a blob. */
export const BlobNameSchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('chunk'),
    file: v.pipe(text(60), v.regex(/^[a-z-]+\/[a-z-]+$/)),
    chunk: whole(0, 1e6),
  }),
  v.strictObject({ kind: v.literal('layer'), layer: layerName }),
  /** What the peer did and when, in that run. */
  v.strictObject({ kind: v.literal('timeline'), run: u32 }),
]);
export type BlobName = v.InferOutput<typeof BlobNameSchema>;

/** State of a layer that is here: whose piece it was, how much of the layer, and the steps it has seen. */
export const HoldingSchema = v.strictObject({
  layer: layerName,
  stepsDone: steps,
  /** The plan that made the piece; 0 where somebody brought the weights along. */
  version: u32,
  stage: whole(0, LIMITS.room.peers),
  lane: whole(0, LIMITS.room.peers),
  /** Numbers of its parameters. */
  numbers: whole(1, 1e12),
});
export type Holding = v.InferOutput<typeof HoldingSchema>;

const options = [
  v.strictObject({
    type: v.literal('hello'),
    protocol: whole(0, 1e6),
    name: name(LIMITS.room.nameChars),
    device: DeviceSchema,
    term: v.nullable(TermSchema),
  }),
  v.strictObject({
    type: v.literal('heartbeat'),
    count: u32,
    /** When it left, on the sender's clock: aligns clocks. */
    sentAtMs: real(-1e15, 1e15),
    /** The receiver's last heartbeat that came here, and how long ago: gives the round trip. */
    echo: v.nullable(v.strictObject({ count: u32, heldMs: ms })),
    term: v.nullable(TermSchema),
    row,
  }),
  v.strictObject({ type: v.literal('claim'), term: TermSchema, centrality: real(0, 1e12) }),
  v.strictObject({ type: v.literal('leave') }),

  /** `wish` counts the sender's wishes: it asks again where no answer comes. `weights`: it has the weights to begin with, every layer's. */
  v.strictObject({ type: v.literal('start'), wish: u32, config: RunConfigSchema, weights: v.boolean() }),
  v.strictObject({
    type: v.literal('start-answer'),
    accepted: v.boolean(),
    retry: v.boolean(),
    message: text(300),
  }),
  v.strictObject({ type: v.literal('stop') }),
  v.strictObject({ type: v.literal('go-on') }),
  /** A person wants a new plan for everybody who is here now. */
  v.strictObject({ type: v.literal('replan') }),

  v.strictObject({ type: v.literal('profile'), term: TermSchema, config: RunConfigSchema }),
  v.strictObject({
    type: v.literal('profile-answer'),
    /** One for each layer, in order: all of it, one micro-batch, alone. */
    costs: v.pipe(
      v.array(v.strictObject({ forwardMs: ms, backwardMs: ms, weightsMs: ms })),
      v.maxLength(LIMITS.run.layers),
    ),
    /** Of a layer's time, what a lane takes whatever its share of the units. */
    fixedShare: real(0, 1),
    /** What a forward or backward costs whatever its size. */
    taskMs: ms,
    /** What each number costs that goes in or out. */
    msPerNumber: ms,
    /** Units that take as long as one of them. */
    grain: whole(1, 64),
    /** Sending and receiving keep it from computing. */
    onProcessor: v.boolean(),
    /** Budget for tensors; null: none was set. */
    memoryBytes: v.nullable(whole(1, 1e15)),
    /** Why this peer takes no block; empty where it does. */
    declined: text(300),
  }),
  v.strictObject({ type: v.literal('prepare'), plan: PlanSchema, config: RunConfigSchema }),
  v.strictObject({ type: v.literal('loading'), ...planKey.entries, share: real(0, 1) }),
  v.strictObject({ type: v.literal('ready'), ...planKey.entries }),
  v.strictObject({ type: v.literal('not-ready'), ...planKey.entries, message: text(300) }),
  v.strictObject({ type: v.literal('commit'), ...planKey.entries }),
  v.strictObject({ type: v.literal('pause'), ...planKey.entries }),
  v.strictObject({
    type: v.literal('paused'),
    ...planKey.entries,
    holds: v.pipe(v.array(HoldingSchema), v.maxLength(LIMITS.run.layers)),
    importance: scores,
  }),
  v.strictObject({ type: v.literal('trouble'), ...planKey.entries, fatal: v.boolean(), message: text(300) }),
  v.strictObject({
    type: v.literal('step'),
    ...planKey.entries,
    step: steps,
    metrics: MetricsSchema,
  }),
  /** The sender's parts for the receiver have left, up to and including those named; some not, or not all packets of them. */
  v.strictObject({
    type: v.literal('parts'),
    ...planKey.entries,
    /** What is lost of the receiver's parts, of all and of those after a lost one, as the sender sees it; left out: next to nothing. */
    loss: v.optional(v.strictObject({ share: real(0, 1), gone: real(0, 1), afterLoss: real(0, 1) })),
    streams: v.pipe(
      v.array(
        v.strictObject({
          kind: v.picklist(['forward', 'backward']),
          boundary: whole(0, LIMITS.run.nodes * 2),
          lane: whole(0, LIMITS.room.peers),
          ...item,
          fewer: v.pipe(
            v.array(v.strictObject({ ...item, packets: whole(0, LIMITS.pipeline.tensorElements) })),
            v.maxLength(LIMITS.pipeline.noticeItems),
          ),
        }),
      ),
      v.maxLength(LIMITS.pipeline.noticeStreams),
    ),
  }),
  /** Packets of a part that have not come are wanted once more; none are named: all of them. */
  v.strictObject({
    type: v.literal('resend'),
    ...planKey.entries,
    kind: v.picklist(['forward', 'backward']),
    boundary: whole(0, LIMITS.run.nodes * 2),
    ...item,
    packets: v.pipe(
      v.array(whole(0, LIMITS.pipeline.tensorElements)),
      v.maxLength(LIMITS.pipeline.packetsAsked),
    ),
    /** Which time this is asked, from 1; their frames are marked with it. */
    attempt: whole(1, 255),
  }),
  v.strictObject({ type: v.literal('block-done'), ...planKey.entries, stepsDone: steps }),
  /** The test goes from micro-batch `from` on; what an earlier attempt sent does not count any more. */
  v.strictObject({ type: v.literal('evaluate'), ...planKey.entries, attempt: u32, from: u32 }),
  /** A micro-batch of the test came through the head. */
  v.strictObject({
    type: v.literal('evaluated'),
    ...planKey.entries,
    attempt: u32,
    micro: u32,
    micros: u32,
    metrics: MetricsSchema,
  }),
  v.strictObject({ type: v.literal('report'), term: TermSchema }),
  v.strictObject({ type: v.literal('report-answer'), report: PeerReportSchema }),

  v.strictObject({
    type: v.literal('run-state'),
    term: TermSchema,
    run: whole(1, 0xffffffff),
    phase: PhaseSchema,
    /** For people: what goes on, or why it does not. */
    message: text(600),
    /** Progress of the phase, 0..1, where it has one. */
    share: real(0, 1),
    config: v.nullable(RunConfigSchema),
    plan: v.nullable(PlanSchema),
  }),
  v.strictObject({ type: v.literal('event'), term: TermSchema, event: EventSchema }),
  v.strictObject({
    type: v.literal('finished'),
    term: TermSchema,
    final: FinalSchema,
    peers: v.pipe(v.array(PeerReportSchema), v.maxLength(LIMITS.room.peers * 2)),
  }),

  v.strictObject({ type: v.literal('blob-request'), id: u32, blob: BlobNameSchema }),
  v.strictObject({ type: v.literal('blob-refused'), id: u32, message: text(300) }),
] as const;

export const ControlSchema = v.variant('type', options);
export type Control = v.InferOutput<typeof ControlSchema>;
export type ControlType = Control['type'];
export type ControlOf<T extends ControlType> = Extract<Control, { type: T }>;
