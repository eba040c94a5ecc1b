import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  FrameNumbers,
  PIECE_MARK,
  PIECE_PAYLOAD_BYTES,
  PieceJoiner,
  splitFrame,
} from '../../client/link/pieces.ts';
import { encodePart, type PartHead } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

const { frameBytes, framesInPieces, pieceBytes } = LIMITS.link;
const frameOf = (bytes: number, key: number) => Uint8Array.from({ length: bytes }, (_, i) => i * 7 + key);

const HEAD: PartHead = {
  kind: 'forward',
  term: 1,
  version: 1,
  planTag: 1,
  step: 1,
  micro: 1,
  boundary: 1,
  lane: 0,
  rows: 40,
  columns: 100,
  offset: 0,
  count: 4000,
  format: 'float32',
};

describe('frames in pieces', () => {
  it('are the same again, whatever the order of the pieces', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: frameBytes }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat()), (all, turns) => {
        const frames = all.map((bytes, key) => frameOf(bytes, key));
        const pieces = frames.flatMap((frame, number) => splitFrame(frame, number));
        assert.ok(pieces.every(({ length }) => length <= pieceBytes));
        const joiner = new PieceJoiner();
        const joined: Uint8Array[] = [];
        while (pieces.length > 0) {
          const [piece] = pieces.splice(turns.next().value % pieces.length, 1);
          const frame = joiner.add(piece);
          if (frame instanceof Uint8Array) joined.push(frame);
          else assert.equal(frame, null);
        }
        const text = (list: Uint8Array[]) => list.map((frame) => frame.join()).sort();
        assert.deepEqual(text(joined), text(frames));
      }),
      { numRuns: 50, seed: 3 },
    );
  });

  it('are given up in the order in which they began where too many are unfinished', () => {
    const joiner = new PieceJoiner();
    const halves = Array.from({ length: framesInPieces + 1 }, (_, i) => splitFrame(frameOf(2000, i), i));
    for (const [first] of halves) joiner.add(first);
    assert.equal(joiner.add(halves[0][1]), null, 'the first was forgotten');
    assert.ok(joiner.add(halves[2][1]) instanceof Uint8Array);
  });

  it('make a frame with those of its copies, of which any may be lost', () => {
    const numbers = new FrameNumbers();
    const data = Float32Array.from({ length: 4000 }, (_, i) => Math.sin(i));
    const partOf = (attempt: number, micro = 1) => encodePart({ ...HEAD, micro, attempt }, data);
    const piecesOf = (frame: Uint8Array) => splitFrame(frame, numbers.of(frame));
    const [first, other, copy] = [partOf(0), partOf(0, 2), partOf(1)].map(piecesOf);
    assert.equal(first.length, 15);
    const joiner = new PieceJoiner();
    const came = [...first.slice(1, 9), ...other.slice(1), ...copy.filter((_, i) => i < 5 || i > 7)];
    const frames = came.map((piece) => joiner.add(piece)).filter((frame) => frame !== null);
    assert.deepEqual(frames, [partOf(1)]);
  });

  it('have numbers of their own where frames are no copies, and where a frame is long gone', () => {
    const numbers = new FrameNumbers();
    const data = new Float32Array(4000);
    const frameOf = (change: Partial<PartHead>) => encodePart({ ...HEAD, ...change }, data);
    const changes: Partial<PartHead>[] = [
      {},
      { kind: 'backward' },
      { term: 7 },
      { version: 7 },
      { planTag: 7 },
      { step: 7 },
      { micro: 7 },
      { boundary: 7 },
      { lane: 7 },
      { offset: 40, count: 3960 },
      { toLane: 1 },
    ];
    const seen = changes.map((change) => numbers.of(frameOf(change)));
    assert.equal(new Set(seen).size, changes.length);
    assert.deepEqual(
      changes.map((change) => numbers.of(frameOf({ ...change, attempt: 3 }))),
      seen,
    );
    for (let i = 0; i < framesInPieces; i++) numbers.of(new Uint8Array(100));
    assert.equal(numbers.of(frameOf({})), seen[0]);
    for (let step = 100; step < 100 + framesInPieces; step++) numbers.of(frameOf({ step }));
    assert.notEqual(numbers.of(frameOf({})), seen[0]);
  });

  it('are refused where they claim what cannot be, and nothing is kept for them', () => {
    const piece = (index: number, count: number, payload: number) => {
      const bytes = new Uint8Array(8 + payload);
      bytes.set([PIECE_MARK, index, count]);
      return bytes;
    };
    const joiner = new PieceJoiner();
    const bad = [
      piece(0, 0, 10),
      piece(2, 2, 10),
      piece(0, 255, PIECE_PAYLOAD_BYTES),
      piece(0, 2, 10),
      piece(1, 2, PIECE_PAYLOAD_BYTES + 1),
      piece(0, 1, 0),
      Uint8Array.of(PIECE_MARK),
    ];
    for (const bytes of bad) assert.equal(joiner.add(bytes), 'piece-malformed', bytes.subarray(0, 3).join());
    assert.equal(joiner.add(piece(0, 2, PIECE_PAYLOAD_BYTES)), null);
    assert.equal(joiner.add(piece(0, 3, PIECE_PAYLOAD_BYTES)), 'piece-malformed', 'another count');
  });
});
