import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { OutQueue } from '../../client/link/out-queue.ts';

const limits = { messageBytes: 100, queueBytes: 2000, highWaterBytes: 250 };

class Channel {
  bufferedAmount = 0;
  highest = 0;
  readonly sent: Uint8Array[] = [];

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
    this.bufferedAmount += bytes.length;
    this.highest = Math.max(this.highest, this.bufferedAmount);
  }
}

test('a queue never passes the high-water mark or its bound, and loses or reorders nothing', () => {
  const actions = fc.array(fc.oneof(fc.integer({ min: 0, max: 130 }), fc.integer({ min: -300, max: -1 })), {
    maxLength: 2000,
  });
  fc.assert(
    fc.property(actions, (list) => {
      const queue = new OutQueue(limits);
      const channel = new Channel();
      const taken: Uint8Array[] = [];
      for (const action of list) {
        if (action < 0) channel.bufferedAmount = Math.max(0, channel.bufferedAmount + action);
        else {
          const bytes = new Uint8Array(action);
          if (queue.push(bytes)) taken.push(bytes);
          else assert.ok(action === 0 || action > 100 || queue.bytes + action + 64 > limits.queueBytes);
        }
        queue.pump(channel, () => undefined);
        assert.ok(queue.bytes >= 0 && queue.bytes <= limits.queueBytes);
      }
      while (!queue.empty) {
        channel.bufferedAmount = 0;
        queue.pump(channel, () => undefined);
      }
      assert.ok(channel.highest <= limits.highWaterBytes);
      assert.equal(queue.bytes, 0);
      assert.equal(channel.sent.length, taken.length);
      assert.ok(channel.sent.every((bytes, i) => bytes === taken[i]));
    }),
    { numRuns: 200, seed: 7 },
  );
});

test('tiny messages are bounded too', () => {
  const queue = new OutQueue(limits);
  let count = 0;
  while (queue.push(new Uint8Array(1))) count++;
  assert.equal(count, Math.floor(2000 / 65));
});
