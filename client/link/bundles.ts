import { LIMITS } from '../../shared/limits.ts';
import type { Sink } from './out-queue.ts';

/**
 * On a fast link several frames go in one message, since each message takes time of both devices, whatever its size. A bundle: mark, three
 * bytes of zero; then for each frame its length (four bytes, little-endian), the frame, and zeros up to a multiple of four, so that the
 * numbers of frames stay aligned.
 */
export const BUNDLE_MARK = 0xeb;
const { bundleBytes, frameBytes } = LIMITS.link;
const HEADER_BYTES = 4;
const LENGTH_BYTES = 4;
/** The most that a frame takes beside itself: a bundle's header, its length, and zeros. */
const OVERHEAD_BYTES = HEADER_BYTES + LENGTH_BYTES + 3;

export const isBundle = (bytes: Uint8Array): boolean => bytes[0] === BUNDLE_MARK;

const padded = (bytes: number): number => Math.ceil(bytes / 4) * 4;

/** One for all: nothing else runs between the first frame of a bundle and its flush. */
const bytes = new Uint8Array(bundleBytes);
bytes[0] = BUNDLE_MARK;
const view = new DataView(bytes.buffer);

/** Puts frames together on their way to a sink, which copies what it is given; `flush` hands on the last of them. */
export class Bundler implements Sink {
  #filled = HEADER_BYTES;

  constructor(private readonly sink: Sink) {}

  /** What waits, and what comes with the next frame: where that and the frame stay below a mark, so does the sink's buffer. */
  get bufferedAmount(): number {
    return this.sink.bufferedAmount + this.#filled + OVERHEAD_BYTES;
  }

  send(frame: Uint8Array): void {
    if (this.#filled + LENGTH_BYTES + padded(frame.length) > bundleBytes) this.flush();
    const start = this.#filled + LENGTH_BYTES;
    view.setUint32(this.#filled, frame.length, true);
    bytes.set(frame, start);
    this.#filled = start + padded(frame.length);
    bytes.fill(0, start + frame.length, this.#filled);
  }

  flush(): void {
    const filled = this.#filled;
    this.#filled = HEADER_BYTES;
    if (filled > HEADER_BYTES) this.sink.send(bytes.subarray(0, filled));
  }
}

/** The frames of a bundle, in its own buffer; or why it is refused, as a short stable word. */
export function framesOfBundle(bundle: Uint8Array): Uint8Array[] | string {
  const view = new DataView(bundle.buffer, bundle.byteOffset, bundle.byteLength);
  const frames: Uint8Array[] = [];
  let at = HEADER_BYTES;
  while (at + LENGTH_BYTES <= bundle.length) {
    const length = view.getUint32(at, true);
    const start = at + LENGTH_BYTES;
    if (length === 0 || length > frameBytes) return 'bundle-malformed';
    frames.push(bundle.subarray(start, start + length));
    at = start + padded(length);
  }
  return frames.length > 0 && at === bundle.length ? frames : 'bundle-malformed';
}
