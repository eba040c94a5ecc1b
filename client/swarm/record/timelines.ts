import { decode, encode } from '@msgpack/msgpack';
import * as v from 'valibot';
import type { PeerId } from '../../../shared/ids.ts';
import { complaint } from '../../../shared/schema/common.ts';
import type { Report } from '../../../shared/schema/report.ts';
import { SpansSchema, type ReportSpan, type Span } from '../../../shared/schema/timeline.ts';
import type { ClockOffsets } from '../membership/clock-offsets.ts';
import type { RunRecord } from './record.ts';

type ReportTimeline = Report['timelines'][number];

export const encodeSpans = (spans: readonly Span[]): Uint8Array => encode(spans);

/** Throws one line for people where a peer sent no timeline. */
export function decodeSpans(bytes: Uint8Array): Span[] {
  const checked = v.safeParse(SpansSchema, decode(bytes), { abortEarly: true });
  if (!checked.success) throw new Error(`A timeline is malformed: ${complaint(checked.issues)}`);
  return checked.output;
}

/**
 * What the peers of a finished run did and when, all on this peer's clock. Whose timeline cannot be had (it left meanwhile) is left out.
 * @param fetch gives that peer's spans
 */
export async function collectTimelines(
  record: RunRecord,
  self: PeerId,
  clocks: ClockOffsets,
  fetch: (peer: PeerId) => Promise<readonly Span[]>,
): Promise<ReportTimeline[]> {
  const asked = record.peers.map(async ({ id }): Promise<ReportTimeline[]> => {
    const spans = await fetch(id).catch(() => null);
    if (!spans) return [];
    const clock = id === self ? { offsetMs: 0, rttMs: 0 } : clocks.of(id);
    const toOwn = id === self ? (ms: number) => ms : clocks.toOwn(id);
    const sinceStart = (ms: number) => Math.round(1000 * record.elapsedMs(toOwn(ms))) / 1000;
    return [
      {
        peer: id,
        clock: clock && { offset_ms: clock.offsetMs, rtt_ms: clock.rttMs },
        spans: spans.map(({ startMs, endMs, ...what }): ReportSpan => ({
          ...what,
          start_ms: sinceStart(startMs),
          end_ms: sinceStart(endMs),
        })),
      },
    ];
  });
  return (await Promise.all(asked)).flat();
}
