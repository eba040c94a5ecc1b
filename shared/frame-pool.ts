import { LIMITS } from './limits.ts';

const { frameBytes, framesPooled } = LIMITS.link;
/** Buffers of `frameBytes` each, of frames that have left. */
const pooled: ArrayBuffer[] = [];

/**
 * Room for a frame, with anything in it. Filling a buffer takes a tenth of the time of making one; small frames get one of
 * their own size, so that a queue of them takes no more memory than it counts.
 */
export function takeFrame(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= frameBytes / 2) return new Uint8Array(bytes);
  return new Uint8Array(pooled.pop() ?? new ArrayBuffer(frameBytes), 0, bytes);
}

/** From whoever a frame was given to, once it has left: nobody may look at it any more. */
export function releaseFrame({ buffer }: Uint8Array): void {
  const fits = buffer instanceof ArrayBuffer && buffer.byteLength === frameBytes;
  if (fits && pooled.length < framesPooled) pooled.push(buffer);
}
