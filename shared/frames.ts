import { takeFrame } from './frame-pool.ts';
import { LIMITS } from './limits.ts';
import { packetsOf, PART_HEADER_BYTES } from './packets.ts';
import { PROTOCOL_VERSION } from './version.ts';
import { payloadBytes, WIRE_FORMATS, writeNumbers, type WireFormat } from './wire.ts';

/**
 * Frames on the data channel: a fixed little-endian header, then payload. Every frame says where its numbers belong,
 * so frames may come in any order. See PROTOCOL.md for the table of fields.
 */
export type Frame = PartFrame | BlobFrame | ProbeFrame;

/** Which numbers of which part a frame has: [offset, offset + count) of [rows, columns], row after row. */
export interface PartHead {
  kind: 'forward' | 'backward' | 'evaluation';
  /** Term counter and version of the plan, and a hash of both with the coordinator's id: old plans are fenced. */
  term: number;
  version: number;
  planTag: number;
  /** The step; in an evaluation its attempt, from 1. */
  step: number;
  micro: number;
  /** Index of the boundary it crosses. */
  boundary: number;
  /** The sender's lane. */
  lane: number;
  rows: number;
  columns: number;
  offset: number;
  count: number;
  /** How the payload has them. */
  format: WireFormat;
  /** How often they went before: as copies, or on request; left out: never. */
  attempt?: number;
  /** How many packets of the part are sent; left out: all of them. */
  sent?: number;
  /** The receiver's lane, where another peer passes the frame on; left out: it goes straight. */
  toLane?: number;
}

export interface PartFrame extends PartHead {
  payload: Uint8Array;
}

/** Bytes [offset, offset + payload.length) of a blob of `total` bytes that was asked for under `id`. */
export interface BlobFrame {
  kind: 'blob';
  id: number;
  offset: number;
  total: number;
  payload: Uint8Array;
}

/** One frame of a burst that measures goodput. */
export interface ProbeFrame {
  kind: 'probe';
  index: number;
  count: number;
  payload: Uint8Array;
}

export class FrameError extends Error {
  override name = 'FrameError';
}

const KINDS = ['forward', 'backward', 'evaluation', 'blob', 'probe'] as const;
const MAGIC = 0xe9;
/** The kind has the lower bits of its byte; those above are 0, or one more than the lane that a frame is passed on to. */
const KIND_BITS = 3;
/** Where a part's header says how often it went before. */
const ATTEMPT_AT = 37;
const BLOB_HEADER_BYTES = 16;
const PROBE_HEADER_BYTES = 12;

export const BLOB_FRAME_BYTES = LIMITS.link.frameBytes - BLOB_HEADER_BYTES;
export const PROBE_FRAME_BYTES = LIMITS.link.frameBytes - PROBE_HEADER_BYTES;

export function encodeFrame(frame: Frame): Uint8Array {
  const headerBytes = headerSize(frame.kind);
  const bytes = new Uint8Array(headerBytes + frame.payload.length);
  writeHeader(frame, new DataView(bytes.buffer));
  bytes.set(frame.payload, headerBytes);
  return bytes;
}

/** The frame of those numbers of `part`, all of whose numbers are given; in room of the pool where it is large, which the transport gives back. */
export function encodePart(head: PartHead, part: Float32Array): Uint8Array {
  const bytes = takeFrame(PART_HEADER_BYTES + payloadBytes(head.format, head));
  writeHeader(head, new DataView(bytes.buffer));
  writeNumbers(head.format, part, head, bytes.subarray(PART_HEADER_BYTES));
  return bytes;
}

function writeHeader(frame: PartHead | BlobFrame | ProbeFrame, view: DataView): void {
  view.setUint8(0, MAGIC);
  view.setUint8(1, PROTOCOL_VERSION);
  const toLane = 'toLane' in frame && frame.toLane !== undefined ? frame.toLane + 1 : 0;
  view.setUint8(2, KINDS.indexOf(frame.kind) | (toLane << KIND_BITS));
  if (frame.kind === 'blob') {
    view.setUint32(4, frame.id, true);
    view.setUint32(8, frame.offset, true);
    view.setUint32(12, frame.total, true);
  } else if (frame.kind === 'probe') {
    view.setUint32(4, frame.index, true);
    view.setUint32(8, frame.count, true);
  } else {
    view.setUint8(3, frame.lane);
    view.setUint32(4, frame.term, true);
    view.setUint32(8, frame.version, true);
    view.setUint32(12, frame.planTag, true);
    view.setUint32(16, frame.step, true);
    view.setUint16(20, frame.micro, true);
    view.setUint16(22, frame.boundary, true);
    view.setUint32(24, frame.rows, true);
    view.setUint32(28, frame.columns, true);
    view.setUint32(32, frame.offset, true);
    view.setUint8(36, WIRE_FORMATS.indexOf(frame.format));
    view.setUint8(ATTEMPT_AT, frame.attempt ?? 0);
    view.setUint16(38, frame.count, true);
    view.setUint32(40, frame.sent ?? 0, true);
  }
}

/** True for frames that nobody takes for lost because they are late: of blobs and of tests. */
export function isPatient(bytes: Uint8Array): boolean {
  if (bytes[0] !== MAGIC) return false;
  const { kind } = readKind(bytes[2]);
  return kind === 'blob' || kind === 'evaluation';
}

/** Which frame of a part it is, unchecked; null for anything else. */
export function peekPart(
  bytes: Uint8Array,
):
  | (Pick<PartHead, 'kind' | 'step' | 'micro' | 'boundary' | 'offset' | 'toLane'> & { attempt: number })
  | null {
  if (bytes.length < PART_HEADER_BYTES || bytes[0] !== MAGIC) return null;
  const { kind, toLane } = readKind(bytes[2]);
  if (kind !== 'forward' && kind !== 'backward' && kind !== 'evaluation') return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    kind,
    step: view.getUint32(16, true),
    micro: view.getUint16(20, true),
    boundary: view.getUint16(22, true),
    offset: view.getUint32(32, true),
    attempt: view.getUint8(ATTEMPT_AT),
    ...(toLane !== undefined && { toLane }),
  };
}

/** The same for a frame of a part and for its copies, and for no other frame; null for what is no frame of a part. */
export function identityOf(bytes: Uint8Array): string | null {
  if (!peekPart(bytes)) return null;
  const header = bytes.slice(0, PART_HEADER_BYTES);
  header[ATTEMPT_AT] = 0;
  return String.fromCharCode(...header);
}

function readKind(code: number): { kind: (typeof KINDS)[number] | undefined; toLane: number | undefined } {
  const lane = code >> KIND_BITS;
  return { kind: KINDS[code & ((1 << KIND_BITS) - 1)], toLane: lane > 0 ? lane - 1 : undefined };
}

/** Throws a FrameError that says what is wrong; never reads outside `bytes`, never allocates by what they claim. */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > LIMITS.link.frameBytes) throw new FrameError(`oversized: ${bytes.length} bytes`);
  if (bytes.length < PROBE_HEADER_BYTES) throw new FrameError(`truncated: ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== MAGIC) throw new FrameError('not a frame');
  const version = view.getUint8(1);
  if (version !== PROTOCOL_VERSION) throw new FrameError(`unknown version ${version}`);
  const { kind, toLane } = readKind(view.getUint8(2));
  if (kind === undefined) throw new FrameError(`unknown kind ${view.getUint8(2)}`);
  const headerBytes = headerSize(kind);
  if (bytes.length < headerBytes) throw new FrameError(`truncated: ${bytes.length} bytes`);
  const payload = bytes.subarray(headerBytes);
  const isPassedOn = toLane !== undefined;
  if (isPassedOn && kind !== 'forward' && kind !== 'backward')
    throw new FrameError(`a ${kind} that is passed on`);
  if (kind === 'blob') return checkBlob(view, payload);
  if (kind === 'probe') {
    return { kind, index: view.getUint32(4, true), count: view.getUint32(8, true), payload };
  }
  const part = checkPart(kind, view, payload);
  return isPassedOn ? { ...part, toLane } : part;
}

function checkBlob(view: DataView, payload: Uint8Array): BlobFrame {
  const frame: BlobFrame = {
    kind: 'blob',
    id: view.getUint32(4, true),
    offset: view.getUint32(8, true),
    total: view.getUint32(12, true),
    payload,
  };
  if (frame.total > LIMITS.data.blobBytes) throw new FrameError(`oversized blob: ${frame.total} bytes`);
  if (frame.offset + payload.length > frame.total) throw new FrameError('blob frame beyond its end');
  if (payload.length === 0 && frame.total > 0) throw new FrameError('empty blob frame');
  return frame;
}

function checkPart(kind: PartFrame['kind'], view: DataView, payload: Uint8Array): PartFrame {
  const format = view.getUint8(36);
  if (format >= WIRE_FORMATS.length) throw new FrameError(`unknown wire format ${format}`);
  const attempt = view.getUint8(ATTEMPT_AT);
  const sent = view.getUint32(40, true);
  const frame: PartFrame = {
    kind,
    lane: view.getUint8(3),
    term: view.getUint32(4, true),
    version: view.getUint32(8, true),
    planTag: view.getUint32(12, true),
    step: view.getUint32(16, true),
    micro: view.getUint16(20, true),
    boundary: view.getUint16(22, true),
    rows: view.getUint32(24, true),
    columns: view.getUint32(28, true),
    offset: view.getUint32(32, true),
    count: view.getUint16(38, true),
    format: WIRE_FORMATS[format],
    ...(attempt > 0 && { attempt }),
    ...(sent > 0 && { sent }),
    payload,
  };
  const numbers = frame.rows * frame.columns;
  if (numbers === 0) throw new FrameError('part of no numbers');
  if (numbers > LIMITS.pipeline.tensorElements) throw new FrameError(`oversized part: ${numbers} numbers`);
  if (frame.count === 0) throw new FrameError('empty part frame');
  if (sent > packetsOf(frame.format, numbers)) throw new FrameError(`${sent} packets of a part of fewer`);
  if (frame.offset + frame.count > numbers) throw new FrameError('part frame beyond its end');
  const wanted = payloadBytes(frame.format, frame);
  if (payload.length !== wanted) {
    throw new FrameError(`${payload.length} bytes are not ${frame.count} numbers in ${frame.format}`);
  }
  return frame;
}

function headerSize(kind: Frame['kind']): number {
  if (kind === 'blob') return BLOB_HEADER_BYTES;
  return kind === 'probe' ? PROBE_HEADER_BYTES : PART_HEADER_BYTES;
}
