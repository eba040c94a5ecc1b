import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Inbox } from '../../client/pipeline/inbox.ts';
import { Patience } from '../../client/pipeline/patience.ts';
import { decodeFrame, encodePart, type PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { PACKET_NUMBERS, packetsOf, stretchAt, stretchesOf } from '../../shared/packets.ts';
import { payloadBytes, WIRE_FORMATS } from '../../shared/wire.ts';

const { framePackets, frameBytes, pieceBytes } = LIMITS.link;
const { deadlineFirstMs, deadlineLeastMs, graceLeastMs, graceSpacings } = LIMITS.pipeline;

describe('the packets of a part', () => {
  const format = fc.constantFrom(...WIRE_FORMATS);
  const numbers = fc.integer({ min: 1, max: 40_000 });
  const most = fc.integer({ min: 1, max: framePackets });

  it('are all in its frames, once and in order, and each frame is found again by where it is', () => {
    fc.assert(
      fc.property(format, numbers, most, fc.infiniteStream(fc.boolean()), (format, numbers, most, draws) => {
        const all = Array.from({ length: packetsOf(format, numbers) }, (_, packet) => packet);
        const wanted = new Set(all.filter(() => draws.next().value));
        for (const some of [undefined, wanted]) {
          const stretches = stretchesOf(format, numbers, most, some);
          const packets = stretches.flatMap(({ first, packets }) => all.slice(first, first + packets));
          assert.deepEqual(packets, some ? [...some] : all);
          for (const stretch of stretches) {
            assert.ok(stretch.packets <= most);
            assert.deepEqual(stretchAt(format, numbers, stretch), stretch);
          }
        }
        const end = stretchesOf(format, numbers).at(-1)!;
        assert.equal(end.offset + end.count, numbers);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('fit one packet of the network, however scales fall, and a frame as many as it may have', () => {
    for (const format of WIRE_FORMATS) {
      for (let columns = 1; columns < 400; columns++) {
        for (const [packets, bytes] of [
          [1, pieceBytes],
          [framePackets, frameBytes],
        ]) {
          const count = packets * PACKET_NUMBERS[format];
          for (let packet = 0; packet < 20; packet++) {
            const offset = packet * PACKET_NUMBERS[format];
            assert.ok(44 + payloadBytes(format, { columns, offset, count }) <= bytes);
          }
        }
      }
    }
  });

  it('are none where a frame begins or ends within one, or has too many', () => {
    const width = PACKET_NUMBERS.int8;
    for (const [offset, count] of [
      [1, width],
      [0, width - 1],
      [width, width + 1],
      [0, (framePackets + 1) * width],
    ])
      assert.equal(stretchAt('int8', 40 * width, { offset, count }), null);
  });
});

describe('a part that comes packet by packet', () => {
  const columns = PACKET_NUMBERS.float32;
  const rows = 8;
  const numbers = Float32Array.from({ length: rows * columns }, (_, i) => i + 1);

  /** An inbox that waits for parts of eight packets from one lane, one a step. */
  function receiver(rule: 'deadline' | 'repair' = 'deadline') {
    const clock = { nowMs: 0 };
    const patience = new Patience(rule, 1_000, 1e9, () => clock.nowMs);
    const inbox = new Inbox({
      kind: 'forward',
      format: 'float32',
      boundary: {
        index: 0,
        shape: { shape: [columns], units: columns, outer: 1, inner: 1, space: 0 },
        held: [0, columns],
        ends: [{ peer: 'a', lane: 0, range: [0, columns] }],
      },
      rows: () => rows,
      micros: 1,
      window: () => [0, 10_000],
      now: () => clock.nowMs,
      patience,
    });
    /** Packets [first, end) of the part of a step come in one frame. */
    const come = (step: number, first: number, end = first + 1, changes: Partial<PartFrame> = {}) => {
      const place = { term: 1, version: 1, planTag: 1, step, micro: 0, boundary: 0, lane: 0 };
      const span = { offset: first * columns, count: (end - first) * columns };
      const head = { kind: 'forward', ...place, rows, columns, ...span, format: 'float32' } as const;
      const frame = decodeFrame(encodePart(head, numbers)) as PartFrame;
      return inbox.add('a', { ...frame, ...changes });
    };
    return { clock, patience, inbox, come };
  }

  it('is whole once all are there, in whatever frames, twice or once', () => {
    const { inbox, come } = receiver();
    for (const [first, end] of [
      [6, 8],
      [0, 1],
      [1, 5],
      [6, 7],
      [3, 6],
    ]) {
      assert.ok(!inbox.has(0, 0));
      assert.equal(come(0, first, end), null);
    }
    assert.ok(inbox.has(0, 0));
    assert.deepEqual(inbox.take(0, 0), { data: numbers, gaps: new Map(), isEmpty: false });
  });

  it('has none of the numbers that a bad frame claimed, also of those that were there', () => {
    const { inbox, come, clock } = receiver();
    assert.equal(come(0, 2), null);
    const payload = new Uint8Array(Float32Array.from({ length: 4 * columns }, () => NaN).buffer);
    assert.equal(come(0, 1, 5, { payload }), 'part-not-finite');
    assert.equal(come(0, 7), null);
    clock.nowMs = inbox.dueMs(0, 0);
    const { data, gaps } = inbox.take(0, 0);
    assert.deepEqual(gaps, new Map([[0, new Set([7])]]));
    data.forEach((x, i) => assert.equal(x, i < 7 * columns ? 0 : numbers[i]));
  });

  it('is whole with as many as its frames say, and what is not sent is not lost', () => {
    const { inbox, come, patience } = receiver();
    assert.equal(come(0, 1, 3, { sent: 3 }), null);
    assert.ok(!inbox.has(0, 0));
    assert.equal(come(0, 5, 6, { sent: 3 }), null);
    assert.ok(inbox.has(0, 0));
    assert.deepEqual(inbox.take(0, 0).gaps, new Map([[0, new Set([1, 2, 5])]]));
    inbox.hear('a', 0, 1, 0, [{ step: 1, micro: 0, packets: 2 }]);
    assert.equal(come(1, 1, 3, { sent: 3 }), null);
    assert.ok(inbox.has(1, 0), 'and with fewer where its sender gave up, whatever was said before');
    inbox.take(1, 0);
    assert.equal(patience.lossOf('a').share, 0);
  });

  /** The link has lost a little, and its parts come packet by packet so far apart. */
  const lossy = (spacingMs: number, rule?: 'repair') => {
    const made = receiver(rule);
    const { clock, inbox, come } = made;
    for (let step = 0; step < 40; step++) {
      for (let packet = step % 4 === 3 ? 4 : 0; packet < rows; packet++) {
        come(step, packet, packet + 1, step % 4 === 3 ? { sent: 5 } : {});
        clock.nowMs += spacingMs;
      }
      clock.nowMs = Math.max(clock.nowMs, Math.min(1e6, inbox.dueMs(step, 0)));
      if (inbox.has(step, 0)) inbox.take(step, 0);
    }
    return made;
  };

  it('is not waited for much longer once most is there, where the link loses packets', () => {
    const { clock, inbox, come } = lossy(0.5);
    for (let packet = 0; packet < 3; packet++) come(40, packet);
    const deadlineMs = inbox.dueMs(40, 0);
    assert.ok(deadlineMs > clock.nowMs + graceLeastMs, 'most is not there yet');
    clock.nowMs += 3;
    come(40, 3);
    assert.equal(inbox.dueMs(40, 0), clock.nowMs + graceLeastMs);
    clock.nowMs += 3;
    come(40, 6);
    assert.equal(inbox.dueMs(40, 0), clock.nowMs + graceLeastMs, 'from the last one on');
    for (const packet of [4, 5, 7]) come(40, packet);
    assert.equal(inbox.dueMs(40, 0), -Infinity);
  });

  it('is given the time that its link usually takes', () => {
    const { clock, inbox, come } = lossy(7);
    for (let packet = 0; packet < 5; packet++) come(40, packet);
    assert.ok(Math.abs(inbox.dueMs(40, 0) - clock.nowMs - graceSpacings * 7) < 1e-6);
  });

  /** Of each part so many packets come, one each millisecond; and one more so long after the first, when the part was given up. */
  const neverWhole = (packets: number, lateMs = 0) => {
    const made = receiver();
    const { clock, inbox, come } = made;
    for (let step = 0; step < 40; step++) {
      const startMs = clock.nowMs;
      for (let packet = 0; packet < packets; packet++) {
        clock.nowMs = startMs + packet;
        come(step, packet);
      }
      clock.nowMs = Math.max(clock.nowMs, inbox.dueMs(step, 0));
      inbox.take(step, 0);
      if (lateMs === 0) continue;
      clock.nowMs = Math.max(clock.nowMs, startMs + lateMs);
      come(step, packets);
    }
    return made;
  };

  it('says how late its link is also where none is whole, once nothing more comes of it', () => {
    const { clock, inbox, come } = neverWhole(4);
    come(40, 0);
    assert.ok(4 * deadlineLeastMs < deadlineFirstMs);
    assert.ok(inbox.dueMs(40, 0) <= clock.nowMs + 4 * deadlineLeastMs);
    const late = neverWhole(4, 300);
    late.come(40, 0);
    const waitMs = late.inbox.dueMs(40, 0) - late.clock.nowMs;
    assert.ok(Math.abs(waitMs - 1.2 * 300) < 1, `what comes late says more, and that alone: ${waitMs} ms`);
  });

  it('is mostly there with most of what its link lets through, and shows how far apart that comes', () => {
    const { clock, inbox, come } = neverWhole(3);
    come(40, 0);
    assert.ok(inbox.dueMs(40, 0) > clock.nowMs + graceLeastMs);
    come(40, 3);
    assert.equal(inbox.dueMs(40, 0), clock.nowMs + graceLeastMs, 'a quarter: three eighths is what comes');
    const slow = receiver();
    for (let step = 0; step < 40; step++) {
      for (const packet of [0, 1, 2, 4, 5]) {
        slow.clock.nowMs += 9;
        slow.come(step, packet);
      }
      slow.clock.nowMs = slow.inbox.dueMs(step, 0);
      slow.inbox.take(step, 0);
    }
    for (const packet of [0, 1, 2, 4]) slow.come(40, packet);
    assert.ok(Math.abs(slow.inbox.dueMs(40, 0) - slow.clock.nowMs - graceSpacings * 9) < 1e-6);
  });

  it('has its whole deadline where nothing gets lost, and where it is asked for again', () => {
    const trusted = receiver();
    for (let packet = 0; packet < 7; packet++) trusted.come(0, packet);
    assert.equal(trusted.inbox.dueMs(0, 0), LIMITS.pipeline.deadlineFirstMs);
    const { clock, inbox, come } = lossy(0.5, 'repair');
    for (let packet = 0; packet < 7; packet++) come(40, packet);
    assert.ok(inbox.dueMs(40, 0) > clock.nowMs + 1e6);
  });
});
