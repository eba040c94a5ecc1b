import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeFrame, encodePart, type PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { partBytes, PART_HEADER_BYTES, stretchesOf } from '../../shared/packets.ts';
import { readNumbers, WIRE_FORMATS, type WireFormat } from '../../shared/wire.ts';

const FLOAT32_MAX = (2 - 2 ** -23) * 2 ** 127;
const float = fc.float({ noNaN: true, noDefaultInfinity: true });

/** The frames of a part, as they come. */
function framesOf(format: WireFormat, rows: number, columns: number, part: Float32Array): PartFrame[] {
  const frames: PartFrame[] = [];
  for (const { offset, count } of stretchesOf(format, part.length)) {
    const place = { term: 1, version: 1, planTag: 1, step: 0, micro: 0, boundary: 0, lane: 0 };
    const bytes = encodePart({ kind: 'forward', ...place, rows, columns, offset, count, format }, part);
    assert.ok(bytes.length <= LIMITS.link.frameBytes);
    frames.push(decodeFrame(bytes) as PartFrame);
  }
  return frames;
}

/** What comes out at the other end; each frame is read by itself. */
function sent(format: WireFormat, rows: number, columns: number, part: Float32Array): Float32Array {
  const received = new Float32Array(part.length).fill(NaN);
  for (const frame of framesOf(format, rows, columns, part))
    assert.ok(readNumbers(format, frame.payload, frame, received), 'refused');
  return received;
}

const one = (format: WireFormat, x: number): number => sent(format, 1, 1, Float32Array.of(x))[0];

describe('numbers on the wire', () => {
  const size = fc.record({
    columns: fc.constantFrom(1, 3, 10, 64, 100, 127, 128, 129, 500, 1024, 16_000, 40_000),
    rows: fc.integer({ min: 1, max: 40 }),
    spread: fc.constantFrom(0, 3, 30),
    seed: fc.nat(),
  });
  const draw = ({
    columns,
    rows,
    spread,
    seed,
  }: {
    columns: number;
    rows: number;
    spread: number;
    seed: number;
  }) =>
    Float32Array.from({ length: rows * columns }, (_, i) => {
      const x = Math.sin(seed + 12.9898 * i) * 43_758.5453;
      return (x - Math.floor(x) - 0.5) * Math.exp(spread * Math.sin(i));
    });

  it('are exact in float32', () => {
    fc.assert(
      fc.property(size, (drawn) => {
        const part = draw(drawn);
        assert.deepEqual(sent('float32', drawn.rows, drawn.columns, part), part);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it('are off by at most half a unit in the last place in float16', () => {
    fc.assert(
      fc.property(size, (drawn) => {
        const part = draw({ ...drawn, spread: Math.min(drawn.spread, 3) });
        sent('float16', drawn.rows, drawn.columns, part).forEach((x, i) =>
          assert.ok(Math.abs(x - part[i]) <= Math.max(Math.abs(part[i]) * 2 ** -11, 2 ** -25)),
        );
      }),
      { seed: 2, numRuns: 50 },
    );
  });

  it('are off by at most half a step of their own group in int8', () => {
    fc.assert(
      fc.property(size, (drawn) => {
        const { columns } = drawn;
        const part = draw(drawn);
        const received = sent('int8', drawn.rows, columns, part);
        const group = columns >= 128 ? columns : columns * Math.ceil(128 / columns);
        for (let start = 0; start < part.length; start += group) {
          const largest = part
            .subarray(start, start + group)
            .reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          for (let i = start; i < Math.min(start + group, part.length); i++)
            assert.ok(Math.abs(received[i] - part[i]) <= (largest / 127) * 0.50001, `${i}`);
        }
      }),
      { seed: 3, numRuns: 60 },
    );
  });

  it('keep small rows alive beside large ones in int8', () => {
    const part = Float32Array.from({ length: 2 * 128 }, (_, i) => (i < 128 ? 1000 : 1e-6));
    const received = sent('int8', 2, 128, part);
    assert.ok(Math.abs(received[200] / 1e-6 - 1) < 1e-6);
  });

  it('round to the nearest half, ties to even, down to the smallest', () => {
    const cases = [
      [0, 0],
      [-0, -0],
      [1, 1],
      [1 + 2 ** -11, 1],
      [1 + 3 * 2 ** -11, 1 + 2 ** -9],
      [65_504, 65_504],
      [2 ** -14, 2 ** -14],
      [2 ** -24, 2 ** -24],
      [2 ** -25, 0],
      [1.5 * 2 ** -24, 2 ** -23],
      [2.5 * 2 ** -24, 2 ** -23],
      [2 ** -14 - 2 ** -26, 2 ** -14],
      [2 ** -30, 0],
    ];
    for (const [x, expected] of cases) {
      assert.ok(Object.is(one('float16', x), expected), `${x}: ${one('float16', x)}`);
      assert.ok(Object.is(one('float16', -x), -expected), `${-x}`);
    }
  });

  it('that are too large become the largest of a format', () => {
    for (const x of [65_519, 65_520, 1e6, FLOAT32_MAX]) {
      assert.equal(one('float16', x), 65_504);
      assert.equal(one('float16', -x), -65_504);
    }
    for (const x of [FLOAT32_MAX, -FLOAT32_MAX]) {
      const received = one('int8', x);
      assert.ok(Math.abs(received / x - 1) < 0.01, `${received}`);
    }
  });

  it('come through finite, whatever finite numbers they were', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...WIRE_FORMATS),
        fc.array(float, { minLength: 1, maxLength: 300 }),
        (format, list) => {
          assert.ok(sent(format, 1, list.length, Float32Array.from(list)).every(Number.isFinite));
        },
      ),
      { seed: 4, numRuns: 500 },
    );
  });

  it('that are not finite are seen in every format', () => {
    for (const format of WIRE_FORMATS) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        for (const at of [0, 150, 299]) {
          const part = new Float32Array(300).fill(1);
          part[at] = bad;
          const [frame] = framesOf(format, 3, 100, part);
          assert.ok(
            !readNumbers(format, frame.payload, frame, new Float32Array(300)),
            `${format} ${bad} ${at}`,
          );
        }
      }
    }
  });

  it('are read from bytes at any place', () => {
    for (const format of WIRE_FORMATS) {
      const part = Float32Array.from({ length: 300 }, (_, i) => i);
      const [frame] = framesOf(format, 3, 100, part);
      const shifted = new Uint8Array(frame.payload.length + 1);
      shifted.set(frame.payload, 1);
      const received = new Float32Array(300);
      assert.ok(readNumbers(format, shifted.subarray(1), frame, received));
      assert.deepEqual(received, sent(format, 3, 100, part));
    }
  });

  it('take the bytes that the formula gives', () => {
    fc.assert(
      fc.property(fc.constantFrom(...WIRE_FORMATS), size, (format, drawn) => {
        const frames = framesOf(format, drawn.rows, drawn.columns, draw(drawn));
        const bytes = frames.reduce((sum, { payload }) => sum + PART_HEADER_BYTES + payload.length, 0);
        assert.equal(partBytes(format, drawn.rows, drawn.columns), bytes);
      }),
      { seed: 5, numRuns: 100 },
    );
  });

  it('are at most 51% in float16 and 27% in int8 at the sizes of the models', () => {
    for (const batch of [128, 256, 512]) {
      for (const columns of [64, 128, 256, 512, 1024, 24 * 24 * 8, 12 * 12 * 16]) {
        const [float32, float16, int8] = WIRE_FORMATS.map((format) => partBytes(format, batch / 4, columns));
        assert.ok(float16 <= 0.51 * float32, `float16, ${batch / 4} rows of ${columns}`);
        assert.ok(int8 <= 0.27 * float32, `int8, ${batch / 4} rows of ${columns}`);
      }
    }
  });
});
