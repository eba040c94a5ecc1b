import { LIMITS } from '../../shared/limits.ts';
import type { LinkLimits } from './link.ts';

/** How much may wait where for the data channels of a link. */
export interface Water {
  /** In the browser's buffer of each, at most; below the threshold it asks for more. */
  highWaterBytes: number;
  thresholdBytes: number;
  /** In our queue, at most; and the most that still is a short one. */
  queueBytes: number;
  shortBytes: number;
  /** What goes in one message: a packet of a frame, a frame, or several frames. */
  messages: 'pieces' | 'frames' | 'bundles';
}

type Limits = Pick<
  LinkLimits,
  | 'frameBytes'
  | 'highWaterBytes'
  | 'lowWaterBytes'
  | 'queueBytes'
  | 'slowBytesPerSecond'
  | 'fastBytesPerSecond'
  | 'bufferedMs'
>;

/** Nobody calls at an amount that was low already: where it is low, the largest message must fit. */
export const thresholdOf = (messageBytes: number, limits: Pick<Limits, 'highWaterBytes' | 'lowWaterBytes'>) =>
  Math.min(limits.lowWaterBytes, limits.highWaterBytes - messageBytes);

/** The marks for channels that take so much together. What waits on slow ones is late by as long as it waits: little may. */
export function waterOf(bytesPerSecond: number, limits: Limits, channels = 1): Water {
  const { frameBytes, highWaterBytes, lowWaterBytes, queueBytes, bufferedMs } = limits;
  const { slowBytesPerSecond, fastBytesPerSecond } = limits;
  if (bytesPerSecond >= slowBytesPerSecond) {
    const thresholdBytes = thresholdOf(frameBytes, limits);
    // Infinity is what nobody has measured yet.
    const isFast = bytesPerSecond >= fastBytesPerSecond && bytesPerSecond < Infinity;
    const messages = isFast ? 'bundles' : 'frames';
    return { highWaterBytes, thresholdBytes, queueBytes, shortBytes: lowWaterBytes, messages };
  }
  const soonBytes = (bytesPerSecond * bufferedMs) / 1000;
  const high = Math.min(highWaterBytes, Math.max(2 * LIMITS.link.pieceBytes, soonBytes / channels));
  const queue = Math.min(queueBytes, Math.max(3 * frameBytes, soonBytes));
  return {
    highWaterBytes: high,
    thresholdBytes: Math.min(lowWaterBytes, high / 2),
    queueBytes: queue,
    shortBytes: Math.min(lowWaterBytes, queue / 2),
    messages: 'pieces',
  };
}
