import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { releaseFrame, takeFrame } from '../../shared/frame-pool.ts';
import { encodePart } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FRAME_NUMBERS } from '../../shared/packets.ts';
import { WIRE_FORMATS } from '../../shared/wire.ts';

const { frameBytes, framesPooled } = LIMITS.link;

describe('the pool of frames', () => {
  it('gives a buffer again, and what is encoded in it has nothing of before', () => {
    for (const format of WIRE_FORMATS) {
      const count = FRAME_NUMBERS[format] - 1;
      const place = { term: 1, version: 1, planTag: 1, step: 0, micro: 0, boundary: 0, lane: 0 };
      const head = { kind: 'forward' as const, ...place, rows: 1, columns: count, offset: 0, count, format };
      const part = Float32Array.from({ length: count }, (_, i) => i);
      const first = encodePart(head, part);
      const fresh = first.slice();
      new Uint8Array(first.buffer).fill(255);
      releaseFrame(first);
      const second = encodePart(head, part);
      assert.equal(second.buffer, first.buffer);
      assert.deepEqual(second, fresh);
    }
  });

  it('keeps no more than its limit, and nothing of another size', () => {
    const given = Array.from({ length: framesPooled + 50 }, () => new Uint8Array(frameBytes));
    given.forEach(releaseFrame);
    for (const bytes of [frameBytes - 1, frameBytes + 1]) releaseFrame(new Uint8Array(bytes));
    const known = new Set(given.map(({ buffer }) => buffer));
    const taken = given.map(() => takeFrame(frameBytes));
    assert.equal(taken.filter(({ buffer }) => known.has(buffer)).length, framesPooled);
    assert.ok(taken.every(({ buffer }) => buffer.byteLength === frameBytes));
  });

  it('spends no large buffer on a small frame', () => {
    assert.equal(takeFrame(100).buffer.byteLength, 100);
  });
});
