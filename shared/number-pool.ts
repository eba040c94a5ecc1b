import { LIMITS } from './limits.ts';

const { numbersPooledAlike, numbersPooledBytes, numbersPooledLeast } = LIMITS.pipeline;
/** Arrays that nobody looks at any more, by length. */
const pooled = new Map<number, Float32Array<ArrayBuffer>[]>();
let bytes = 0;

/**
 * So many numbers, any. A room passes the same few sizes round step after step; making them anew, megabytes at a time, calls for a
 * collection of garbage about once a step, in the page and in its worker.
 */
export const takeNumbers = (count: number): Float32Array<ArrayBuffer> =>
  takePooled(count) ?? new Float32Array(count);

/** The same, all zero. */
export const takeZeros = (count: number): Float32Array<ArrayBuffer> =>
  takePooled(count)?.fill(0) ?? new Float32Array(count);

function takePooled(count: number): Float32Array<ArrayBuffer> | undefined {
  const numbers = pooled.get(count)?.pop();
  bytes -= numbers?.byteLength ?? 0;
  return numbers;
}

/** From whoever has an array to itself: nobody may look at it any more. Small ones, and views of a part of a buffer, are left alone. */
export function releaseNumbers(numbers: Float32Array): void {
  const { buffer, byteLength, length } = numbers;
  if (length < numbersPooledLeast || byteLength > numbersPooledBytes) return;
  if (!(buffer instanceof ArrayBuffer) || byteLength !== buffer.byteLength) return;
  const alike = pooled.get(length) ?? [];
  if (alike.length >= numbersPooledAlike || alike.some((known) => known.buffer === buffer)) return;
  if (bytes + byteLength > numbersPooledBytes) {
    // Sizes of a plan that is over, most likely.
    pooled.clear();
    bytes = 0;
    alike.length = 0;
  }
  pooled.set(length, alike);
  alike.push(numbers as Float32Array<ArrayBuffer>);
  bytes += byteLength;
}
