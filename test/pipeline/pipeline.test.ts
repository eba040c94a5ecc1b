import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Inbox } from '../../client/pipeline/inbox.ts';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import { Ledger } from '../../client/pipeline/ledger.ts';
import { nextTask, type BlockProgress } from '../../client/pipeline/schedule.ts';
import { Feed } from '../../client/pipeline/feed.ts';
import { PART_FRAME_NUMBERS, type PartFrame } from '../../shared/frames.ts';
import { tinyConfig } from '../simulation/sim-room.ts';

const progress = (changes: Partial<BlockProgress>): BlockProgress => ({
  microBatches: 4,
  inFlightMax: 2,
  forwards: 0,
  backwards: 0,
  forwardReady: () => true,
  backwardReady: () => true,
  ...changes,
});

describe('the schedule', () => {
  it('goes backward before forward', () => {
    assert.deepEqual(nextTask(progress({ forwards: 1 })), { kind: 'backward', micro: 0 });
  });

  it('goes forward while the gradient has not come, up to the cap', () => {
    const waiting = { backwardReady: () => false };
    assert.deepEqual(nextTask(progress({ forwards: 1, ...waiting })), { kind: 'forward', micro: 1 });
    assert.equal(nextTask(progress({ forwards: 2, ...waiting })), null);
  });

  it('waits when nothing has come', () => {
    assert.equal(nextTask(progress({ forwardReady: () => false })), null);
  });

  it('ends the step after the last backward', () => {
    assert.deepEqual(nextTask(progress({ forwards: 4, backwards: 4 })), { kind: 'step' });
  });
});

describe('the inbox', () => {
  const rows = 40;
  const width = 200;
  const newInbox = () =>
    new Inbox({
      kind: 'forward',
      boundary: { index: 0, width, lanes: [{ peer: 'a', lane: 0 }] },
      rows: () => rows,
      micros: 2,
      window: () => [3, 4],
    });
  const numbers = Float32Array.from({ length: rows * width }, (_, i) => i);
  const frames = (): PartFrame[] => {
    const list: PartFrame[] = [];
    for (let offset = 0; offset < numbers.length; offset += PART_FRAME_NUMBERS) {
      const payload = new Uint8Array(numbers.slice(offset, offset + PART_FRAME_NUMBERS).buffer);
      list.push({
        kind: 'forward',
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
        payload,
      });
    }
    return list;
  };

  it('puts frames together in any order, and takes duplicates for what they are', () => {
    const inbox = newInbox();
    const [first, ...rest] = frames().reverse();
    assert.equal(inbox.add('a', first), null);
    assert.equal(inbox.add('a', first), null);
    assert.ok(!inbox.has(3, 1));
    for (const frame of rest) assert.equal(inbox.add('a', frame), null);
    assert.ok(inbox.has(3, 1));
    assert.deepEqual(inbox.take(3, 1), numbers);
    assert.ok(!inbox.has(3, 1), 'what was taken is gone');
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
