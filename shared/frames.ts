import { LIMITS } from './limits.ts';
import { PROTOCOL_VERSION } from './version.ts';

/**
 * Frames on the data channel: a fixed little-endian header, then payload. Every frame says where its numbers belong,
 * so frames may come in any order. See PROTOCOL.md for the table of fields.
 */
export type Frame = PartFrame | BlobFrame | ProbeFrame;

/** Numbers [offset, offset + count) of one part: [rows, columns] float32, row after row. */
export interface PartFrame {
  kind: 'forward' | 'backward' | 'evaluation';
  /** Term counter and version of the plan, and a hash of both with the coordinator's id: old plans are fenced. */
  term: number;
  version: number;
  planTag: number;
  /** The step; 0 in an evaluation. */
  step: number;
  micro: number;
  /** Index of the boundary it crosses. */
  boundary: number;
  /** The sender's lane. */
  lane: number;
  rows: number;
  columns: number;
  offset: number;
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
export const PART_HEADER_BYTES = 40;
const BLOB_HEADER_BYTES = 16;
const PROBE_HEADER_BYTES = 12;

export const PART_FRAME_NUMBERS = Math.floor((LIMITS.link.frameBytes - PART_HEADER_BYTES) / 4);
export const BLOB_FRAME_BYTES = LIMITS.link.frameBytes - BLOB_HEADER_BYTES;
export const PROBE_FRAME_BYTES = LIMITS.link.frameBytes - PROBE_HEADER_BYTES;

export function encodeFrame(frame: Frame): Uint8Array {
  const headerBytes = headerSize(frame.kind);
  const bytes = new Uint8Array(headerBytes + frame.payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, MAGIC);
  view.setUint8(1, PROTOCOL_VERSION);
  view.setUint8(2, KINDS.indexOf(frame.kind));
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
  }
  bytes.set(frame.payload, headerBytes);
  return bytes;
}

/** Throws a FrameError that says what is wrong; never reads outside `bytes`, never allocates by what they claim. */
export function decodeFrame(bytes: Uint8Array): Frame {
  if (bytes.length > LIMITS.link.frameBytes) throw new FrameError(`oversized: ${bytes.length} bytes`);
  if (bytes.length < PROBE_HEADER_BYTES) throw new FrameError(`truncated: ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint8(0) !== MAGIC) throw new FrameError('not a frame');
  const version = view.getUint8(1);
  if (version !== PROTOCOL_VERSION) throw new FrameError(`unknown version ${version}`);
  const code = view.getUint8(2);
  if (code >= KINDS.length) throw new FrameError(`unknown kind ${code}`);
  const kind = KINDS[code];
  const headerBytes = headerSize(kind);
  if (bytes.length < headerBytes) throw new FrameError(`truncated: ${bytes.length} bytes`);
  const payload = bytes.subarray(headerBytes);
  if (kind === 'blob') return checkBlob(view, payload);
  if (kind === 'probe') {
    return { kind, index: view.getUint32(4, true), count: view.getUint32(8, true), payload };
  }
  return checkPart(kind, view, payload);
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
    payload,
  };
  const numbers = frame.rows * frame.columns;
  if (numbers === 0) throw new FrameError('part of no numbers');
  if (numbers > LIMITS.pipeline.tensorElements) throw new FrameError(`oversized part: ${numbers} numbers`);
  if (payload.length % 4 !== 0) throw new FrameError('payload is not whole float32 numbers');
  if (payload.length === 0) throw new FrameError('empty part frame');
  if (frame.offset + payload.length / 4 > numbers) throw new FrameError('part frame beyond its end');
  return frame;
}

function headerSize(kind: Frame['kind']): number {
  if (kind === 'blob') return BLOB_HEADER_BYTES;
  return kind === 'probe' ? PROBE_HEADER_BYTES : PART_HEADER_BYTES;
}
