import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { WIRE_FORMATS } from '../wire.ts';
import { name, real, text, whole } from './common.ts';
import { PeerIdSchema } from './signal.ts';

/** A term of office: higher counters fence lower ones; equal counters are settled by the lower id. */
export const TermSchema = v.strictObject({ counter: whole(1, 0xffffffff), peer: PeerIdSchema });
export type Term = v.InferOutput<typeof TermSchema>;

const LayerName = name(LIMITS.run.layerNameChars);
const unit = whole(0, LIMITS.run.units);

/**
 * How a node of the model lies over the lanes of its stage. `columns`: each lane computes its own units from the whole input.
 * `rows`: each lane computes a partial sum of all units from its slice of the input. `slices`: each lane has its units, before and
 * after. `copies`: every lane computes all of it. `owner`: one lane computes all of it, for the stage. `summand`: a bias that one
 * lane adds to its summand of what is cut by rows: the owner, or the first lane that has a summand.
 */
export const SplitSchema = v.picklist(['columns', 'rows', 'slices', 'copies', 'owner', 'summand']);
export type Split = v.InferOutput<typeof SplitSchema>;

/** How the units of one space are cut over the lanes of a stage: lane k has positions [cuts[k], cuts[k + 1]). */
export const SlicingSchema = v.strictObject({
  space: whole(0, LIMITS.run.layers),
  cuts: v.pipe(v.array(unit), v.minLength(2), v.maxLength(LIMITS.room.peers + 1)),
});
export type Slicing = v.InferOutput<typeof SlicingSchema>;

export const StageSchema = v.strictObject({
  /** Nodes [start, end) of the model's graph. */
  nodes: v.tuple([whole(0, LIMITS.run.nodes), whole(1, LIMITS.run.nodes)]),
  /** One for each of them. */
  splits: v.pipe(v.array(SplitSchema), v.minLength(1), v.maxLength(LIMITS.run.nodes)),
  /** The peer of each lane. */
  lanes: v.pipe(v.array(PeerIdSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
  slicings: v.pipe(v.array(SlicingSchema), v.maxLength(LIMITS.run.layers)),
  /** The lane that owns what is not cut: `owner` nodes; in the last stage it tells of loss and accuracy. */
  owner: whole(0, LIMITS.room.peers),
  /** The lane that takes over from the owner; the owner itself where it is alone. */
  deputy: whole(0, LIMITS.room.peers),
});
export type Stage = v.InferOutput<typeof StageSchema>;

/** The order of a space's units: position -> unit. Spaces without one keep the model's order. */
export const OrderSchema = v.strictObject({
  space: whole(0, LIMITS.run.layers),
  units: v.pipe(v.array(unit), v.minLength(1), v.maxLength(LIMITS.run.orderedUnits)),
});
export type Order = v.InferOutput<typeof OrderSchema>;

/** A peer that has state of a layer (all or some of its units). Whoever takes the layer over reads them in this order: later ones count. */
export const SourceSchema = v.strictObject({ layer: LayerName, from: PeerIdSchema });
export type Source = v.InferOutput<typeof SourceSchema>;

/** Micro-batches that a stage may have under way. */
export const StageCapsSchema = v.strictObject({
  /** Between their forward and their input gradient. */
  inFlight: whole(1, LIMITS.run.microBatches),
  /** Between their forward and their weight gradients. */
  kept: whole(1, LIMITS.run.microBatches),
});
export type StageCaps = v.InferOutput<typeof StageCapsSchema>;

export const PlanSchema = v.strictObject({
  term: TermSchema,
  version: whole(1, 0xffffffff),
  run: whole(1, 0xffffffff),
  /** The first step trained under this plan, from 0. */
  startStep: whole(0, LIMITS.run.steps),
  /** The step before which training ends: the run's steps, or fewer where somebody pressed Stop. */
  endStep: whole(0, LIMITS.run.steps),
  stages: v.pipe(v.array(StageSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
  /** How numbers of parts stand on the wire in training. */
  wire: v.picklist(WIRE_FORMATS),
  /** One for each stage, from measured links; left out: one more than the schedule needs where anything is exchanged. */
  caps: v.optional(v.pipe(v.array(StageCapsSchema), v.minLength(1), v.maxLength(LIMITS.room.peers))),
  orders: v.pipe(v.array(OrderSchema), v.maxLength(LIMITS.run.layers)),
  /** Where state comes from when the plan begins; what no source has starts from the seed. */
  sources: v.pipe(v.array(SourceSchema), v.maxLength(LIMITS.run.layers * LIMITS.room.peers)),
  /** Peers without a block, ready to take one. */
  standby: v.pipe(v.array(PeerIdSchema), v.maxLength(LIMITS.room.peers)),
  /** Peers that share the keeping of the data set, in order. */
  dataHomes: v.pipe(v.array(PeerIdSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
  predicted: v.strictObject({
    stepMs: real(0, 1e9),
    /** Busy time of each stage's slowest lane in one step. */
    stageMs: v.array(real(0, 1e9)),
    /** Tensor bytes of each block, stage by stage, lane by lane. */
    memoryBytes: v.array(v.array(real(0, 1e15))),
    /** Why the plan looks as it does, for people. */
    why: text(LIMITS.run.whyChars),
  }),
});
export type Plan = v.InferOutput<typeof PlanSchema>;
