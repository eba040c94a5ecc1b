import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Inbox } from '../../client/pipeline/inbox.ts';
import { takeNumbers } from '../../shared/number-pool.ts';

const ROWS = 40;
const HALF = 100;

describe('arrays of an inbox', () => {
  const inbox = () =>
    new Inbox({
      kind: 'forward',
      format: 'float32',
      boundary: {
        index: 0,
        shape: { shape: [2 * HALF], units: 2 * HALF, outer: 1, inner: 1, space: 0 },
        held: [0, 2 * HALF],
        ends: [
          { peer: 'me', lane: 0, range: [0, HALF] },
          { peer: 'me', lane: 1, range: [HALF, 2 * HALF] },
        ],
      },
      rows: () => ROWS,
      micros: 1,
      window: () => [0, 9],
    });
  const part = (value: number) => new Float32Array(ROWS * HALF).fill(value);
  const expected = (a: number, b: number) =>
    Float32Array.from({ length: 2 * ROWS * HALF }, (_, i) => (i % (2 * HALF) < HALF ? a : b));

  it('are used again once a part is added up, and never what was handed on', () => {
    const box = inbox();
    const parts = [part(1), part(2)];
    parts.forEach((data, lane) => box.addOwn(0, 0, lane, data));
    const first = box.take(0, 0).data;
    assert.ok(parts.includes(takeNumbers(ROWS * HALF)));
    takeNumbers(2 * ROWS * HALF).fill(-5);
    assert.deepEqual(first, expected(1, 2));
    [part(3), part(4)].forEach((data, lane) => box.addOwn(1, 0, lane, data));
    assert.deepEqual(box.take(1, 0).data, expected(3, 4), 'zeros to begin with');
    assert.deepEqual(first, expected(1, 2));
  });
});
