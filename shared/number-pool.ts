import { LIMITS } from './limits.ts';

const { numbersPooledAlike, numbersPooledBytes, numbersPooledLeast } = LIMITS.pipeline;
/** Arrays that nobody looks at any more, by length. */
const pooled = new Map<number, Float32Array<ArrayBuffer>[]>();
let bytes = 0;

/**
 * So many numbers, any. A room passes the same few sizes round step after step; making them anew, megabytes at a time, calls for a
 * collection of garbage about once a step, in the page and in its worker.
 */
export function takeNumbers(count: number): Float32Array<ArrayBuffer> {
  const numbers = pooled.get(count)?.pop();
  if (!numbers) return new Float32Array(count);
  bytes -= numbers.byteLength;
  return numbers;
}

/** The same, all zero. */
export function takeZeros(count: number): Float32Array<ArrayBuffer> {
  const numbers = pooled.get(count)?.pop();
  if (!numbers) return new Float32Array(count);
  bytes -= numbers.byteLength;
  return numbers.fill(0);
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
