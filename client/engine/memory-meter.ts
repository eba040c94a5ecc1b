import { engine } from '@tensorflow/tfjs-core';

interface Watched {
  numBytes: number;
  numTensors: number;
}

/** The largest `numBytes` since it was last set back; one for each of tfjs's engine states. */
const highWater = new WeakMap<Watched, { bytes: number }>();

/** Puts an accessor in the place of tfjs's byte counter, so that no rise goes unseen, however short. */
function watch(state: Watched): { bytes: number } {
  const known = highWater.get(state);
  if (known) return known;
  let current = state.numBytes;
  const mark = { bytes: current };
  Object.defineProperty(state, 'numBytes', {
    get: () => current,
    set: (value: number) => {
      current = value;
      if (value > mark.bytes) mark.bytes = value;
    },
  });
  highWater.set(state, mark);
  return mark;
}

/**
 * The tensors of one block among all in this thread. What runs inside `measure` counts for this meter; calls are
 * synchronous, so several blocks of one process do not blur.
 */
export class MemoryMeter {
  tensors = 0;
  bytes = 0;
  peakBytes = 0;

  measure<T>(work: () => T): T {
    const state: Watched = engine().state;
    const mark = watch(state);
    const { numBytes, numTensors } = state;
    mark.bytes = numBytes;
    try {
      return work();
    } finally {
      this.peakBytes = Math.max(this.peakBytes, this.bytes + mark.bytes - numBytes);
      this.bytes += state.numBytes - numBytes;
      this.tensors += state.numTensors - numTensors;
    }
  }
}
