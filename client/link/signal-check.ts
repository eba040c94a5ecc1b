import * as v from 'valibot';
import { LinkSignalSchema, type LinkSignal } from '../../shared/schema/signal.ts';
import type { Signal } from './link.ts';

/** Reads the `data` of a signal; a text is the reason for refusing it. */
export function readLinkSignal(data: string): LinkSignal | string {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    return 'signal-not-json';
  }
  const parsed = v.safeParse(LinkSignalSchema, value);
  if (!parsed.success) return 'signal-malformed';
  return refusalOf(parsed.output.signal) ?? parsed.output;
}

/**
 * Why a well-formed signal cannot belong to a link that carries data alone; `null` where it can.
 * An offer replaces the link there is, so nonsense must be seen before it is taken.
 */
export function refusalOf(signal: Signal): string | null {
  switch (signal.type) {
    case 'offer':
    case 'answer':
      return describesData(signal.sdp) ? null : 'description-malformed';
    case 'candidate': {
      const { candidate, sdpMid, sdpMLineIndex } = signal.candidate;
      const placed = typeof sdpMid === 'string' || sdpMLineIndex === 0;
      return placed && (sdpMLineIndex ?? 0) === 0 && /^(candidate:.*)?$/.test(candidate)
        ? null
        : 'candidate-malformed';
    }
    default:
      return 'media-request';
  }
}

function describesData(sdp: string): boolean {
  return (
    sdp.startsWith('v=0') &&
    /^m=application /m.test(sdp) &&
    !/^m=(audio|video) /m.test(sdp) &&
    /^a=fingerprint:/m.test(sdp) &&
    /^a=ice-ufrag:/m.test(sdp)
  );
}
