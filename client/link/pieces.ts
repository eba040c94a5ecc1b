import { identityOf } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

/**
 * On a slow link a frame goes in pieces of one packet each: SCTP delivers those that came, while a message of many packets waits for the
 * last of them. A piece: mark, index, count (one byte each), one byte of zero, the number of the frame (four bytes, little-endian), payload.
 */
export const PIECE_MARK = 0xea;
const HEADER_BYTES = 8;
export const PIECE_PAYLOAD_BYTES = LIMITS.link.pieceBytes - HEADER_BYTES;
const PIECES_MAX = Math.ceil(LIMITS.link.frameBytes / PIECE_PAYLOAD_BYTES);

export const isPiece = (bytes: Uint8Array): boolean => bytes[0] === PIECE_MARK;

export function splitFrame(frame: Uint8Array, number: number): Uint8Array[] {
  const count = Math.ceil(frame.length / PIECE_PAYLOAD_BYTES);
  return Array.from({ length: count }, (_, index) => {
    const payload = frame.subarray(index * PIECE_PAYLOAD_BYTES, (index + 1) * PIECE_PAYLOAD_BYTES);
    const piece = new Uint8Array(HEADER_BYTES + payload.length);
    piece.set([PIECE_MARK, index, count]);
    new DataView(piece.buffer).setUint32(4, number, true);
    piece.set(payload, HEADER_BYTES);
    return piece;
  });
}

/** What number the pieces of a frame have: a copy of it has the same, so that what got lost of one may come with another. */
export class FrameNumbers {
  readonly #known = new Map<string, number>();
  #next = 0;

  of(frame: Uint8Array): number {
    const identity = identityOf(frame);
    const known = identity === null ? undefined : this.#known.get(identity);
    if (known !== undefined) return known;
    const number = this.#next++ >>> 0;
    if (identity === null) return number;
    if (this.#known.size >= LIMITS.link.framesInPieces) this.#known.delete(this.#known.keys().next().value!);
    this.#known.set(identity, number);
    return number;
  }
}

interface Join {
  pieces: (Uint8Array | null)[];
  missing: number;
}

/** Puts pieces together to frames, whatever comes in whatever order; of too many unfinished ones the oldest is given up. */
export class PieceJoiner {
  readonly #joins = new Map<number, Join>();

  /** The frame that a piece completes, null where more are needed, or why it is refused as a short stable word. */
  add(piece: Uint8Array): Uint8Array | null | string {
    const [, index, count] = piece;
    const payload = piece.subarray(HEADER_BYTES);
    if (payload.length === 0 || index >= count || count > PIECES_MAX) return 'piece-malformed';
    const isLast = index === count - 1;
    if (payload.length > PIECE_PAYLOAD_BYTES || (!isLast && payload.length < PIECE_PAYLOAD_BYTES))
      return 'piece-malformed';
    const number = new DataView(piece.buffer, piece.byteOffset).getUint32(4, true);
    const join = this.#joins.get(number) ?? this.#begin(number, count);
    if (join.pieces.length !== count) return 'piece-malformed';
    // The frame went more than once.
    if (join.pieces[index]) return null;
    join.pieces[index] = payload;
    if (--join.missing > 0) return null;
    this.#joins.delete(number);
    return joined(join.pieces as Uint8Array[]);
  }

  clear(): void {
    this.#joins.clear();
  }

  #begin(number: number, count: number): Join {
    const join = { pieces: new Array<Uint8Array | null>(count).fill(null), missing: count };
    if (this.#joins.size >= LIMITS.link.framesInPieces) this.#joins.delete(this.#joins.keys().next().value!);
    this.#joins.set(number, join);
    return join;
  }
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const frame = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  pieces.forEach((piece, index) => frame.set(piece, index * PIECE_PAYLOAD_BYTES));
  return frame;
}
