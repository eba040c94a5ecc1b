import * as v from 'valibot';
import { LIMITS } from '../limits.ts';
import { real, whole } from './common.ts';
import { PeerIdSchema } from './signal.ts';

const instant = real(-1e15, 1e15);
const way = v.picklist(['forward', 'backward']);

/** A span of a timeline, with its beginning and its end under the names of `times`. */
const spanWith = <T extends v.ObjectEntries>(times: T) => {
  const what = {
    step: whole(0, LIMITS.run.steps),
    /** 0 in a `step`. */
    micro: whole(0, LIMITS.run.microBatches),
    ...times,
  };
  return v.variant('kind', [
    /** The block computed: a pass of a micro-batch, or the optimizer's step. */
    v.strictObject({ kind: v.picklist(['forward', 'backward', 'weights', 'step']), ...what }),
    /** The block had nothing to do until this micro-batch's input (`forward`) or gradient (`backward`) was there. */
    v.strictObject({ kind: v.literal('wait'), ...what, missing: way }),
    /** A part went out: until all of it was queued. Or came in: from its first frame to its last. */
    v.strictObject({
      kind: v.picklist(['send', 'receive']),
      ...what,
      way,
      boundary: whole(0, LIMITS.run.nodes * 2),
      /** Where it went, or came from. */
      peer: PeerIdSchema,
      /** Frame headers included. */
      bytes: whole(0, 1e12),
    }),
  ]);
};

/** What a peer did from `startMs` to `endMs`, in milliseconds of its own clock port. */
export const SpanSchema = spanWith({ startMs: instant, endMs: instant });
export type Span = v.InferOutput<typeof SpanSchema>;
export type WorkSpan = Extract<Span, { kind: 'forward' | 'backward' | 'weights' | 'step' }>;
export type PartSpan = Extract<Span, { bytes: number }>;

/** A timeline as one peer hands it to another. */
export const SpansSchema = v.pipe(v.array(SpanSchema), v.maxLength(LIMITS.pipeline.spansKept));

/** In the report: milliseconds since training began, on the clock of the peer that wrote the report. */
export const ReportSpanSchema = spanWith({ start_ms: instant, end_ms: instant });
export type ReportSpan = v.InferOutput<typeof ReportSpanSchema>;
