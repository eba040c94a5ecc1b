import { LIMITS } from './limits.ts';
import { payloadBytes, type Span, type WireFormat } from './wire.ts';

/**
 * A part is lost, named and asked for packet by packet: as many numbers as one packet of the network holds beside headers. A frame has
 * one packet or several in a row.
 */
export const PACKET_NUMBERS: Readonly<Record<WireFormat, number>> = {
  float32: LIMITS.link.packetNumberBytes / 4,
  float16: LIMITS.link.packetNumberBytes / 2,
  int8: LIMITS.link.packetNumberBytes,
};

/** Numbers of a part in a frame that has as many packets as it may. */
export const FRAME_NUMBERS: Readonly<Record<WireFormat, number>> = {
  float32: LIMITS.link.framePackets * PACKET_NUMBERS.float32,
  float16: LIMITS.link.framePackets * PACKET_NUMBERS.float16,
  int8: LIMITS.link.framePackets * PACKET_NUMBERS.int8,
};

export const PART_HEADER_BYTES = 44;

/** Packets of a part of so many numbers; the last one may be shorter. */
export const packetsOf = (format: WireFormat, numbers: number): number =>
  Math.ceil(numbers / PACKET_NUMBERS[format]);

/** What one frame has of a part: packets [first, first + packets), that is numbers [offset, offset + count). */
export interface Stretch extends Pick<Span, 'offset' | 'count'> {
  first: number;
  packets: number;
}

/** Cuts a part of so many numbers into frames of at most `most` packets, in order; of some of its packets only where those are given. */
export function stretchesOf(
  format: WireFormat,
  numbers: number,
  most: number = LIMITS.link.framePackets,
  wanted?: ReadonlySet<number>,
): Stretch[] {
  const stretches: Stretch[] = [];
  const all = packetsOf(format, numbers);
  for (let first = 0; first < all; first++) {
    if (wanted && !wanted.has(first)) continue;
    let end = first + 1;
    while (end < all && end - first < most && (!wanted || wanted.has(end))) end++;
    stretches.push(stretchOf(format, numbers, first, end));
    first = end - 1;
  }
  return stretches;
}

function stretchOf(format: WireFormat, numbers: number, first: number, end: number): Stretch {
  const each = PACKET_NUMBERS[format];
  const offset = first * each;
  return { first, packets: end - first, offset, count: Math.min(end * each, numbers) - offset };
}

/** Which packets of a part of so many numbers a frame has; null where it does not begin and end with packets. */
export function stretchAt(
  format: WireFormat,
  numbers: number,
  { offset, count }: Pick<Span, 'offset' | 'count'>,
): Stretch | null {
  const first = offset / PACKET_NUMBERS[format];
  const end = packetsOf(format, offset + count);
  if (!Number.isInteger(first) || end - first > LIMITS.link.framePackets) return null;
  const stretch = stretchOf(format, numbers, first, end);
  return stretch.count === count ? stretch : null;
}

/** Bytes of a whole part of rows of `columns` numbers in the fewest frames, their headers included. */
export function partBytes(format: WireFormat, rows: number, columns: number): number {
  const numbers = rows * columns;
  const most = FRAME_NUMBERS[format];
  let bytes = 0;
  for (let offset = 0; offset < numbers; offset += most) {
    const count = Math.min(most, numbers - offset);
    bytes += PART_HEADER_BYTES + payloadBytes(format, { columns, offset, count });
  }
  return bytes;
}
