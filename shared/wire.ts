/**
 * How the numbers of a part stand in the frames on their way: as they are (`float32`), in half the bytes (`float16`), or as
 * whole numbers from -127 to 127 with a scale for each group of them (`int8`). PROTOCOL.md has the layout.
 */
export const WIRE_FORMATS = ['float32', 'float16', 'int8'] as const;
export type WireFormat = (typeof WIRE_FORMATS)[number];
/** What a run may ask for: one of them, or the planner's choice. */
export const WIRE_CHOICES = ['auto', ...WIRE_FORMATS] as const;

/** Numbers [offset, offset + count) of a part whose rows have `columns` numbers. */
export interface Span {
  columns: number;
  offset: number;
  count: number;
}

export const GROUP_NUMBERS_MIN = 128;
export const SCALE_BYTES = 4;
/** -128 times this is still a finite float32. */
const SCALE_MAX = (2 - 2 ** -23) * 2 ** 120;

/** Numbers that share a scale: a row, or as many short rows as make up 128. */
export const groupNumbers = (columns: number): number => columns * Math.ceil(GROUP_NUMBERS_MIN / columns);

/** Bytes of a span in a frame, scales included. */
export function payloadBytes(format: WireFormat, span: Span): number {
  if (format === 'float32') return 4 * span.count;
  return format === 'float16' ? 2 * span.count : SCALE_BYTES * scalesOf(span) + span.count;
}

/** A group that reaches over the border of a frame has a scale in both. */
function scalesOf({ columns, offset, count }: Span): number {
  const group = groupNumbers(columns);
  return Math.floor((offset + count - 1) / group) - Math.floor(offset / group) + 1;
}

/**
 * Writes a span of `part` to `payload`, which begins at a multiple of 4 bytes. What is too large for a format becomes its
 * largest number; NaN and infinity stay what they are, or make the scale so, for the receiver to refuse.
 */
export function writeNumbers(format: WireFormat, part: Float32Array, span: Span, payload: Uint8Array): void {
  const { offset, count } = span;
  const numbers = part.subarray(offset, offset + count);
  if (format === 'float32') new Float32Array(payload.buffer, payload.byteOffset, count).set(numbers);
  else if (format === 'float16') writeFloat16(bitsOf(numbers), payload);
  else writeInt8(numbers, span, payload);
}

/** Reads a span of `part` from `payload`. False where a number is not finite; then the span holds anything. */
export function readNumbers(
  format: WireFormat,
  payload: Uint8Array,
  span: Span,
  part: Float32Array,
): boolean {
  const { offset, count } = span;
  const numbers = part.subarray(offset, offset + count);
  const aligned = payload.byteOffset % 4 === 0 ? payload : payload.slice();
  if (format === 'int8') return readInt8(aligned, span, numbers);
  if (format === 'float16') return readFloat16(aligned, numbers);
  numbers.set(new Float32Array(aligned.buffer, aligned.byteOffset, count));
  return allFinite(numbers);
}

const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Int32Array =>
  new Int32Array(buffer, byteOffset, length);

/** One at which the exponent is all ones carries into the sign: a quarter of the time of asking each number. */
export function allFinite(numbers: Float32Array): boolean {
  const bits = bitsOf(numbers);
  let carries = 0;
  for (let i = 0; i < bits.length; i++) carries |= (bits[i] & 0x7f800000) + 0x00800000;
  return carries >= 0;
}

/** To the nearest, ties to even. By hand it takes as long as a native Float16Array, and needs none. */
function writeFloat16(bits: Int32Array, payload: Uint8Array): void {
  const halves = new Uint16Array(payload.buffer, payload.byteOffset, bits.length);
  for (let i = 0; i < bits.length; i++) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const size = bits[i] & 0x7fffffff;
    let half: number;
    if (size < 0x38800000) half = size === 0 ? 0 : subnormalHalf(size);
    else if (size < 0x477ff000) half = (size - 0x38000000 + 0xfff + ((size >>> 13) & 1)) >>> 13;
    else if (size < 0x7f800000) half = HALF_MAX;
    else half = size === 0x7f800000 ? HALF_INFINITY : HALF_NAN;
    halves[i] = sign | half;
  }
}

const HALF_MAX = 0x7bff;
const HALF_INFINITY = 0x7c00;
const HALF_NAN = 0x7e00;

const float = new Float32Array(1);
const floatBits = bitsOf(float);

function floatOf(bits: number): number {
  floatBits[0] = bits;
  return float[0];
}

/** In units of the smallest half; adding 2^52 rounds to whole ones. */
const subnormalHalf = (size: number): number => floatOf(size) * 2 ** 24 + 2 ** 52 - 2 ** 52;

let valueOfHalf: Float32Array | null = null;

function readFloat16(payload: Uint8Array, numbers: Float32Array): boolean {
  const halves = new Uint16Array(payload.buffer, payload.byteOffset, numbers.length);
  const values = (valueOfHalf ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => halfValue(half)));
  let carries = 0;
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    carries |= (half & 0x7c00) + 0x0400;
    numbers[i] = values[half];
  }
  return carries < 0x8000;
}

function halfValue(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = (half & 1023) / 1024;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -14 : (1 + fraction) * 2 ** (exponent - 15));
}

function writeInt8(numbers: Float32Array, span: Span, payload: Uint8Array): void {
  const [scales, values] = int8Parts(payload, span);
  const bits = bitsOf(numbers);
  const group = groupNumbers(span.columns);
  let start = 0;
  for (let g = 0; g < scales.length; g++) {
    const end = Math.min(span.count, group - ((span.offset + start) % group) + start);
    let size = 0;
    for (let i = start; i < end; i++) size = Math.max(size, bits[i] & 0x7fffffff);
    const largest = floatOf(size);
    const scale = largest / 127;
    scales[g] = scale > SCALE_MAX && largest < Infinity ? SCALE_MAX : scale;
    const perScale = size === 0 ? 0 : 127 / largest;
    // Rounds half up: the sum is above 1, where cutting off is rounding down.
    for (let i = start; i < end; i++) values[i] = ((numbers[i] * perScale + 128.5) | 0) - 128;
    start = end;
  }
}

function readInt8(payload: Uint8Array, span: Span, numbers: Float32Array): boolean {
  const [scales, values] = int8Parts(payload, span);
  const group = groupNumbers(span.columns);
  let start = 0;
  for (const scale of scales) {
    if (!(scale >= 0 && scale <= SCALE_MAX)) return false;
    const end = Math.min(span.count, group - ((span.offset + start) % group) + start);
    for (let i = start; i < end; i++) numbers[i] = values[i] * scale;
    start = end;
  }
  return true;
}

function int8Parts(
  { buffer, byteOffset }: Uint8Array,
  span: Span,
): [scales: Float32Array, values: Int8Array] {
  const scales = scalesOf(span);
  return [
    new Float32Array(buffer, byteOffset, scales),
    new Int8Array(buffer, byteOffset + SCALE_BYTES * scales, span.count),
  ];
}
