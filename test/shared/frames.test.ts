import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BLOB_FRAME_BYTES, decodeFrame, encodeFrame, FrameError, type Frame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FRAME_NUMBERS, packetsOf } from '../../shared/packets.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import { payloadBytes, WIRE_FORMATS } from '../../shared/wire.ts';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const u16 = fc.integer({ min: 0, max: 0xffff });
const format = fc.constantFrom(...WIRE_FORMATS);
const share = fc.double({ min: 0, max: 1, noNaN: true });

const part: fc.Arbitrary<Frame> = fc
  .record({ format, share, rows: fc.integer({ min: 1, max: 64 }), offset: fc.integer({ min: 0, max: 5000 }) })
  .chain(({ format, share, rows, offset }) => {
    const count = Math.ceil(1 + share * (FRAME_NUMBERS[format] - 1));
    const columns = Math.ceil((offset + count) / rows);
    const size = payloadBytes(format, { columns, offset, count });
    const required = {
      kind: fc.constantFrom('forward' as const, 'backward' as const, 'evaluation' as const),
      term: u32,
      version: u32,
      planTag: u32,
      step: u32,
      micro: u16,
      boundary: u16,
      lane: fc.integer({ min: 0, max: 255 }),
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      offset: fc.constant(offset),
      count: fc.constant(count),
      format: fc.constant(format),
      payload: fc.uint8Array({ minLength: size, maxLength: size }),
    };
    const sent = fc.integer({ min: 1, max: packetsOf(format, rows * columns) });
    return fc.oneof(fc.record(required), fc.record({ ...required, sent }));
  });

const blob: fc.Arbitrary<Frame> = fc
  .record({
    id: u32,
    offset: fc.integer({ min: 0, max: 1e6 }),
    size: fc.integer({ min: 1, max: BLOB_FRAME_BYTES }),
  })
  .chain(({ id, offset, size }) =>
    fc.record({
      kind: fc.constant('blob' as const),
      id: fc.constant(id),
      offset: fc.constant(offset),
      total: fc.integer({ min: offset + size, max: LIMITS.data.blobBytes }),
      payload: fc.uint8Array({ minLength: size, maxLength: size }),
    }),
  );

const detour: fc.Arbitrary<Frame> = fc
  .tuple(
    part,
    fc.constantFrom('forward' as const, 'backward' as const),
    fc.integer({ min: 0, max: LIMITS.room.peers - 1 }),
  )
  .map(([frame, kind, toLane]) => ({ ...frame, kind, toLane }) as Frame);

describe('frames', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.oneof(part, detour, blob), (drawn) => {
        const frame = { ...drawn };
        const bytes = encodeFrame(frame);
        assert.ok(bytes.length <= LIMITS.link.frameBytes);
        assert.deepEqual(decodeFrame(bytes), frame);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  it('are passed on only where they are parts of a step', () => {
    const [test] = fc.sample(part, { seed: 4, numRuns: 1 });
    const frames: Frame[] = [
      { ...test, kind: 'evaluation', toLane: 1 } as Frame,
      { kind: 'blob', id: 1, offset: 0, total: 4, payload: new Uint8Array(4) },
      { kind: 'probe', index: 0, count: 1, payload: new Uint8Array(4) },
    ];
    for (const frame of frames) {
      const bytes = encodeFrame(frame);
      bytes[2] |= 2 << 3;
      assert.throws(() => decodeFrame(bytes), { name: 'FrameError', message: /that is passed on/ });
    }
  });

  it('any bytes at all are a frame or a FrameError, never anything else', () => {
    const header = fc
      .tuple(fc.constant(0xe9), fc.constant(PROTOCOL_VERSION), fc.integer({ min: 0, max: 30 }))
      .map((h) => Uint8Array.from(h));
    const noise = fc.uint8Array({ maxLength: 200 });
    const looksRight = fc.tuple(header, noise).map(([start, rest]) => Uint8Array.from([...start, ...rest]));
    fc.assert(
      fc.property(fc.oneof(noise, looksRight), (bytes) => {
        try {
          const frame = decodeFrame(bytes);
          assert.ok(frame.payload.length <= bytes.length);
        } catch (error) {
          assert.ok(error instanceof FrameError, String(error));
        }
      }),
      { seed: 2, numRuns: 3000 },
    );
  });

  it('a flipped byte in the header is another frame or a FrameError', () => {
    fc.assert(
      fc.property(
        part,
        fc.integer({ min: 0, max: 43 }),
        fc.integer({ min: 1, max: 255 }),
        (frame, at, flip) => {
          const bytes = encodeFrame(frame);
          bytes[at] ^= flip;
          try {
            assert.notDeepEqual(decodeFrame(bytes), at === 37 ? null : frame);
          } catch (error) {
            assert.ok(error instanceof FrameError, String(error));
          }
        },
      ),
      { seed: 3, numRuns: 500 },
    );
  });
});
