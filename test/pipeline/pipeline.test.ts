import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LaneEnd } from '../../client/pipeline/assignment.ts';
import { Inbox } from '../../client/pipeline/inbox.ts';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import { Ledger } from '../../client/pipeline/ledger.ts';
import { Patience } from '../../client/pipeline/patience.ts';
import { nextTask, type BlockProgress } from '../../client/pipeline/schedule.ts';
import { Feed } from '../../client/pipeline/feed.ts';
import { decodeFrame, encodePart, type PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { stretchesOf } from '../../shared/packets.ts';
import type { LossRule } from '../../shared/schema/config.ts';
import { WIRE_FORMATS, type WireFormat } from '../../shared/wire.ts';
import { tinyConfig } from '../simulation/sim-room.ts';

const progress = (changes: Partial<BlockProgress>): BlockProgress => ({
  microBatches: 4,
  steps: 0,
  end: 4,
  caps: { inFlight: 2, kept: 4 },
  forwards: [0],
  backwards: [0],
  weights: changes.backwards ?? [0],
  isAwaited: (changes.backwards ?? [0]).map(() => true),
  defers: (changes.backwards ?? [0]).map(() => false),
  forwardReady: () => true,
  backwardReady: () => true,
  ...changes,
});

describe('the schedule', () => {
  it('goes backward before forward', () => {
    assert.deepEqual(nextTask(progress({ forwards: [1] })), { kind: 'backward', segment: 0, micro: 0 });
  });

  it('goes forward while the gradient has not come, up to the cap', () => {
    const waiting = { backwardReady: () => false };
    assert.deepEqual(nextTask(progress({ forwards: [1], ...waiting })), {
      kind: 'forward',
      segment: 0,
      micro: 1,
    });
    assert.equal(nextTask(progress({ forwards: [2], ...waiting })), null);
  });

  it('waits when nothing has come', () => {
    assert.equal(nextTask(progress({ forwardReady: () => false })), null);
  });

  it('fills waiting with one weight gradient after the other, and makes one product of several where nobody waits', () => {
    const of = (backwards: number, isAwaited: boolean, kept: number) =>
      nextTask(
        progress({
          forwards: [backwards],
          backwards: [backwards],
          weights: [1],
          forwardReady: () => false,
          isAwaited: [isAwaited],
          defers: [true],
          caps: { inFlight: 1, kept },
        }),
      );
    const weights = { kind: 'weights', segment: 0, micro: 1 };
    assert.deepEqual(of(3, true, 4), { ...weights, count: 1 });
    assert.deepEqual(of(4, true, 4), { ...weights, count: 1 });
    assert.equal(of(3, false, 3), null);
    assert.deepEqual(of(3, false, 2), { ...weights, count: 2 });
    assert.deepEqual(of(4, false, 4), { ...weights, count: 3 });
  });

  it('ends the step after the last backward', () => {
    assert.deepEqual(nextTask(progress({ forwards: [4], backwards: [4] })), { kind: 'step' });
  });

  const two = (forwards: number[], backwards: number[], changes: Partial<BlockProgress> = {}) =>
    nextTask(progress({ forwards, backwards, ...changes }));

  it('finishes what it began before it begins more', () => {
    assert.deepEqual(two([1, 0], [0, 0]), { kind: 'forward', segment: 1, micro: 0 });
    assert.deepEqual(two([1, 1], [0, 0]), { kind: 'backward', segment: 1, micro: 0 });
    assert.deepEqual(two([1, 1], [0, 1]), { kind: 'backward', segment: 0, micro: 0 });
  });

  it('fills the wait for an exchange with the next micro-batch, up to the cap', () => {
    const waiting = { forwardReady: (segment: number) => segment === 0 };
    assert.deepEqual(two([1, 0], [0, 0], waiting), { kind: 'forward', segment: 0, micro: 1 });
    assert.equal(two([2, 0], [0, 0], waiting), null);
  });

  it('goes back over a segment only after those behind it', () => {
    assert.deepEqual(two([2, 1], [0, 0], { backwardReady: (segment) => segment === 0 }), {
      kind: 'forward',
      segment: 1,
      micro: 1,
    });
  });
});

describe('the inbox', () => {
  const rows = 40;
  const width = 200;
  const newInbox = (format: WireFormat = 'float32') =>
    new Inbox({
      kind: 'forward',
      format,
      boundary: {
        index: 0,
        shape: { shape: [width], units: width, outer: 1, inner: 1, space: 0 },
        held: [0, width],
        ends: [{ peer: 'a', lane: 0, range: [0, width] }],
      },
      rows: () => rows,
      micros: 2,
      window: () => [3, 4],
    });
  const numbers = Float32Array.from({ length: rows * width }, (_, i) => i);
  const frames = (
    format: WireFormat = 'float32',
    part = numbers,
    most: number = LIMITS.link.framePackets,
  ): PartFrame[] =>
    stretchesOf(format, part.length, most).map(({ offset, count }) => {
      const head = {
        kind: 'forward' as const,
        term: 1,
        version: 1,
        planTag: 1,
        step: 3,
        micro: 1,
        boundary: 0,
        lane: 0,
        rows,
        columns: width,
        offset,
        count,
        format,
      };
      return decodeFrame(encodePart(head, part)) as PartFrame;
    });

  it('puts frames together in any order, and takes duplicates for what they are', () => {
    const inbox = newInbox();
    const [first, ...rest] = frames().reverse();
    assert.equal(inbox.add('a', first), null);
    assert.equal(inbox.add('a', first), null);
    assert.ok(!inbox.has(3, 1));
    for (const frame of rest) assert.equal(inbox.add('a', frame), null);
    assert.ok(inbox.has(3, 1));
    assert.deepEqual(inbox.take(3, 1), { data: numbers, gaps: new Map(), isEmpty: false });
    assert.ok(!inbox.has(3, 1), 'what was taken is gone');
  });

  for (const format of WIRE_FORMATS) {
    it(`takes a part in ${format}, and no other`, () => {
      const inbox = newInbox(format);
      for (const other of WIRE_FORMATS) {
        const expected = other === format ? null : 'part-wrong-format';
        for (const frame of frames(other)) assert.equal(inbox.add('a', frame), expected);
      }
      const { data } = inbox.take(3, 1);
      const error = { float32: 0, float16: 2 ** -11, int8: 0.5 / 127 }[format];
      for (let row = 0; row < rows; row++) {
        const largest = numbers[(row + 1) * width - 1];
        for (let i = row * width; i < (row + 1) * width; i++)
          assert.ok(Math.abs(data[i] - numbers[i]) <= error * largest * 1.0001, `${i}: ${data[i]}`);
      }
    });

    it(`refuses NaN and infinity in ${format}, and takes the part when it comes right`, () => {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const inbox = newInbox(format);
        const [broken] = frames(
          format,
          numbers.map((x, i) => (i === 77 ? bad : x)),
        );
        assert.equal(inbox.add('a', broken), 'part-not-finite');
        for (const frame of frames(format)) assert.equal(inbox.add('a', frame), null);
        assert.ok(inbox.has(3, 1));
      }
    });
  }

  describe('with several lanes', () => {
    // Two rows, two places, units 2 to 5 here; one lane has 2 and 3, the others summands of all.
    const shape = { shape: [2, 6], units: 6, outer: 2, inner: 1, space: 0 };
    const ends: LaneEnd[] = [
      { peer: 'a', lane: 0, range: [2, 4] },
      { peer: 'b', lane: 1, range: [2, 5] },
      { peer: 'me', lane: 2, range: [2, 5] },
    ];
    let nowMs = 0;
    const several = (rule?: LossRule) =>
      new Inbox({
        kind: 'backward',
        format: 'float32',
        boundary: { index: 7, shape, held: [2, 5], ends },
        rows: () => 2,
        micros: 1,
        window: () => [0, 9],
        ...(rule && { patience: new Patience(rule, 4, 60_000, () => nowMs) }),
      });
    const part = (lane: number, values: number[]): PartFrame => ({
      ...frames()[0],
      kind: 'backward',
      boundary: 7,
      step: 0,
      micro: 0,
      lane,
      rows: 2,
      columns: values.length / 2,
      count: values.length,
      payload: new Uint8Array(Float32Array.from(values).buffer),
    });
    const twelve = Array.from({ length: 12 }, (_, i) => i);

    it('adds every part at its positions', () => {
      const inbox = several();
      assert.equal(inbox.add('b', part(1, twelve)), null);
      inbox.addOwn(0, 0, 2, Float32Array.from(twelve));
      assert.ok(!inbox.has(0, 0));
      assert.equal(inbox.add('a', part(0, [100, 200, 300, 400, 500, 600, 700, 800])), null);
      assert.ok(inbox.has(0, 0));
      assert.deepEqual([...inbox.take(0, 0).data], [100, 202, 4, 306, 408, 10, 512, 614, 16, 718, 820, 22]);
    });

    it("refuses a part that is as wide as another lane's", () => {
      assert.equal(several().add('a', part(0, twelve)), 'part-wrong-shape');
      assert.equal(several().add('a', part(1, twelve)), 'part-wrong-sender');
    });

    /** Parts of both other lanes for so many micro-batches, `lateMs` after the sign of each. */
    const measured = (inbox: Inbox, count: number, lateMs: number) => {
      for (let step = 0; step < count; step++) {
        for (const [lane, peer] of ['a', 'b'].entries())
          assert.equal(inbox.hear(peer, lane, step, 0, []), null);
        nowMs += lateMs;
        inbox.add('a', { ...part(0, [0, 0, 0, 0, 0, 0, 0, 0]), step });
        inbox.add('b', { ...part(1, twelve), step });
        inbox.addOwn(step, 0, 2, Float32Array.from(twelve));
        inbox.take(step, 0);
      }
    };

    it('goes on without a part that is lost when its deadline has passed, and says what came of it', () => {
      const inbox = several('deadline');
      measured(inbox, 4, 100);
      inbox.addOwn(4, 0, 2, Float32Array.from(twelve));
      inbox.add('a', { ...part(0, [0, 0, 0, 0, 0, 0, 0, 0]), step: 4 });
      assert.equal(inbox.hear('b', 1, 4, 0, []), null);
      const dueMs = inbox.dueMs(4, 0);
      assert.ok(dueMs >= nowMs + 120 && dueMs <= nowMs + 400, `waits ${dueMs - nowMs} ms for what took 100`);
      assert.ok(!inbox.has(4, 0));
      nowMs = dueMs;
      assert.ok(inbox.has(4, 0));
      const { data, gaps, isEmpty } = inbox.take(4, 0);
      assert.deepEqual([...data], twelve);
      assert.deepEqual(gaps, new Map([[1, new Set()]]));
      assert.ok(!isEmpty);
      assert.equal(inbox.add('b', { ...part(1, twelve), step: 4 }), null, 'late is no offence');
      assert.ok(!inbox.has(4, 0), 'and changes nothing');
    });

    it('waits for nothing that will not come, nor for whom is far beyond it', () => {
      const inbox = several('deadline');
      inbox.addOwn(0, 0, 2, Float32Array.from(twelve));
      inbox.hear('a', 0, 0, 0, [{ step: 0, micro: 0, packets: 0 }]);
      assert.ok(!inbox.has(0, 0));
      inbox.hear('b', 1, 4, 0, []);
      assert.ok(inbox.has(0, 0));
      assert.ok(!inbox.has(1, 0));
      assert.deepEqual([...inbox.take(0, 0).gaps.keys()], [0, 1]);
    });

    it('waits once for a lane that gives no sign, until it is as far as the others', () => {
      const inbox = several('deadline');
      measured(inbox, 4, 0);
      const others = (step: number) => {
        inbox.addOwn(step, 0, 2, Float32Array.from(twelve));
        inbox.add('a', { ...part(0, [0, 0, 0, 0, 0, 0, 0, 0]), step });
      };
      others(4);
      const waitMs = inbox.dueMs(4, 0) - nowMs;
      assert.ok(waitMs >= 400 && waitMs <= 1600, `waits ${waitMs} ms`);
      nowMs += waitMs;
      inbox.take(4, 0);
      others(5);
      assert.ok(inbox.has(5, 0), 'it is still silent');
      inbox.take(5, 0);
      inbox.add('b', { ...part(1, twelve), step: 4 });
      others(6);
      assert.ok(inbox.has(6, 0), 'it speaks, but of long ago');
      inbox.take(6, 0);
      inbox.add('b', { ...part(1, twelve), step: 6 });
      others(7);
      assert.ok(!inbox.has(7, 0), 'it is nearly as far, and waited for again');
      inbox.add('b', { ...part(1, twelve), step: 7 });
      assert.deepEqual(inbox.take(7, 0).gaps, new Map());
    });

    it('waits for everything where nothing counts as lost', () => {
      const inbox = several();
      inbox.hear('b', 1, 9, 0, []);
      inbox.addOwn(0, 0, 2, Float32Array.from(twelve));
      inbox.add('a', part(0, [0, 0, 0, 0, 0, 0, 0, 0]));
      nowMs += 1e9;
      assert.equal(inbox.dueMs(0, 0), Infinity);
    });
  });

  it('uses the frames of a part that have come', () => {
    let nowMs = 0;
    const boundary = {
      index: 0,
      shape: { shape: [width], units: width, outer: 1, inner: 1, space: 0 },
      held: [0, width] as [number, number],
      ends: [{ peer: 'a', lane: 0, range: [0, width] as [number, number] }],
    };
    const inbox = new Inbox({
      kind: 'forward',
      format: 'float32',
      boundary,
      rows: () => rows,
      micros: 4,
      window: () => [3, 4],
      patience: new Patience('deadline', 4, 60_000, () => nowMs),
    });
    const [lost, came] = frames('float32', numbers, 1);
    inbox.add('a', came);
    nowMs = inbox.dueMs(3, 1);
    const { data, gaps } = inbox.take(3, 1);
    assert.deepEqual(gaps, new Map([[0, new Set([1])]]));
    const { offset, count } = came;
    assert.equal(offset, lost.count);
    data.forEach((x, i) => assert.equal(x, i < offset || i >= offset + count ? 0 : numbers[i]));
  });

  it('gives up what nothing is heard of, once in a step, and never under a rule that waits', () => {
    let nowMs = 1_000;
    const capMs = 2_000;
    const silentMs = LIMITS.pipeline.silenceFactor * capMs;
    const boundary = {
      index: 0,
      shape: { shape: [width], units: width, outer: 1, inner: 1, space: 0 },
      held: [0, width] as [number, number],
      ends: [{ peer: 'a', lane: 0, range: [0, width] as [number, number] }],
    };
    const silent = (rule: LossRule) => {
      const patience = new Patience(rule, 4, capMs, () => nowMs);
      const inbox = new Inbox({
        kind: 'forward',
        format: 'float32',
        boundary,
        rows: () => rows,
        micros: 4,
        window: () => [0, 1],
        patience,
      });
      return { inbox, patience };
    };
    assert.equal(silent('stall').inbox.dueMs(0, 0), Infinity);
    const { inbox, patience } = silent('deadline');
    assert.equal(inbox.dueMs(0, 0), 1_000 + silentMs);
    nowMs += silentMs - 1;
    assert.equal(inbox.dueMs(0, 0), 1_000 + silentMs, 'counted from when it was first wanted');
    assert.ok(!inbox.has(0, 0));
    nowMs += 1;
    assert.ok(inbox.take(0, 0).isEmpty);
    assert.ok(inbox.has(0, 1), 'the rest of the step is not waited for again');
    inbox.take(0, 1);
    patience.beginStep();
    assert.equal(inbox.dueMs(0, 2), nowMs + silentMs);
  });

  it('does not give what is not whole', () => {
    const inbox = newInbox();
    inbox.add('a', frames()[0]);
    assert.throws(() => inbox.take(3, 1), /not whole/);
  });
});

describe('the ledger', () => {
  it('ends every micro-batch exactly once', () => {
    const ledger = new Ledger();
    ledger.begin();
    ledger.begin();
    ledger.end('whole');
    ledger.interrupt();
    assert.deepEqual(ledger.counts(), { whole: 1, partial: 0, skipped: 1 });
    assert.throws(() => ledger.end('whole'), /had not begun/);
  });
});

describe('the feed', () => {
  it('reads ahead up to its bound and no further', async () => {
    let reads = 0;
    const read = (i: number) => (reads++, Promise.resolve(i));
    const feed = new Feed(read, 0, 100, 3, () => undefined, rethrow);
    await Promise.resolve();
    assert.equal(reads, 3);
    assert.equal(feed.take(0), 0);
    assert.equal(reads, 4);
    assert.throws(() => feed.take(3), /not the next/);
  });

  it('reports a failed read', async () => {
    let message = '';
    new Feed(
      () => Promise.reject(new Error('no data')),
      0,
      1,
      1,
      () => undefined,
      (error) => (message = error.message),
    );
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(message, 'no data');
  });
});

describe('the learning rate', () => {
  it('falls linearly towards zero, or stays', () => {
    const optimizer = { kind: 'adam', learningRate: 0.4, decay: 'linear' } as const;
    const config = tinyConfig({ steps: 4, optimizer });
    assert.deepEqual(
      [0, 1, 2, 3].map((step) => +learningRateAt(config, step).toFixed(6)),
      [0.4, 0.3, 0.2, 0.1],
    );
    assert.equal(learningRateAt({ ...config, optimizer: { ...optimizer, decay: 'constant' } }, 3), 0.4);
  });
});

function rethrow(error: Error): never {
  throw error;
}
