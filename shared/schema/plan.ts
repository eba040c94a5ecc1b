import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { name, real, whole } from './common.ts';
import { PeerIdSchema } from './signal.ts';

/** A term of office: higher counters fence lower ones; equal counters are settled by the lower id. */
export const TermSchema = v.strictObject({ counter: whole(1, 0xffffffff), peer: PeerIdSchema });
export type Term = v.InferOutput<typeof TermSchema>;

const LayerName = name(LIMITS.run.layerNameChars);
export const UnitRangeSchema = v.pipe(
  v.tuple([whole(0, LIMITS.run.units), whole(0, LIMITS.run.units)]),
  v.check(([start, end]) => start < end, 'A range of units is empty.'),
);

/** One lane of a stage: the peer that holds it and the units of every layer that are its own. */
export const LaneSchema = v.strictObject({
  peer: PeerIdSchema,
  units: v.record(LayerName, UnitRangeSchema),
});

export const StageSchema = v.strictObject({
  layers: v.pipe(v.array(LayerName), v.minLength(1), v.maxLength(LIMITS.run.layers)),
  lanes: v.pipe(v.array(LaneSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
});
export type Stage = v.InferOutput<typeof StageSchema>;

/** What crosses from stage s to stage s + 1; boundary i lies before stage i + 1. With one lane a side all kinds are one. */
export const BoundarySchema = v.strictObject({
  kind: v.picklist(['slice', 'gather', 'reduce']),
  /** Numbers per sample that cross. */
  width: whole(1, LIMITS.run.units),
});
export type Boundary = v.InferOutput<typeof BoundarySchema>;

/** Where the state of a layer's units comes from when the plan begins. */
export const SourceSchema = v.strictObject({
  layer: LayerName,
  units: UnitRangeSchema,
  /** A peer that holds them, or `seed`: initial weights (at the start, or because every holder is gone). */
  from: v.union([PeerIdSchema, v.literal('seed')]),
});
export type Source = v.InferOutput<typeof SourceSchema>;

export const PlanSchema = v.strictObject({
  term: TermSchema,
  version: whole(1, 0xffffffff),
  run: whole(1, 0xffffffff),
  /** The first step trained under this plan, from 0. */
  startStep: whole(0, LIMITS.run.steps),
  /** The step before which training ends: the run's steps, or fewer where somebody pressed Stop. */
  endStep: whole(0, LIMITS.run.steps),
  stages: v.pipe(v.array(StageSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
  boundaries: v.pipe(v.array(BoundarySchema), v.maxLength(LIMITS.room.peers)),
  sources: v.pipe(v.array(SourceSchema), v.maxLength(LIMITS.run.layers * 4)),
  /** Peers without a block, ready to take one. */
  standby: v.pipe(v.array(PeerIdSchema), v.maxLength(LIMITS.room.peers)),
  /** Peers that share the keeping of the data set, in order. */
  dataHomes: v.pipe(v.array(PeerIdSchema), v.minLength(1), v.maxLength(LIMITS.room.peers)),
  predicted: v.strictObject({ stepMs: real(0, 1e9), stageMs: v.array(real(0, 1e9)) }),
});
export type Plan = v.InferOutput<typeof PlanSchema>;
