import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BUNDLE_MARK, Bundler, framesOfBundle, isBundle } from '../../client/link/bundles.ts';
import { OutQueue } from '../../client/link/out-queue.ts';
import { LIMITS } from '../../shared/limits.ts';

const { bundleBytes, frameBytes } = LIMITS.link;

/** A channel that copies what it is given, as data channels do. */
class Channel {
  bufferedAmount = 0;
  readonly sent: Uint8Array[] = [];

  send(bytes: Uint8Array): void {
    this.bufferedAmount += bytes.length;
    this.sent.push(bytes.slice());
  }
}

function bundled(frames: readonly Uint8Array[]): Uint8Array[] {
  const channel = new Channel();
  const bundler = new Bundler(channel);
  for (const frame of frames) bundler.send(frame);
  bundler.flush();
  return channel.sent;
}

describe('frames in bundles', () => {
  it('are the same again, in their order, aligned, in few messages that browsers take', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: frameBytes }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(sizes, (all) => {
        const frames = all.map((bytes, key) => Uint8Array.from({ length: bytes }, (_, i) => i * 7 + key));
        const messages = bundled(frames);
        assert.ok(messages.every((message) => message.length <= bundleBytes && isBundle(message)));
        const bytes = frames.reduce((sum, { length }) => sum + length, 0);
        assert.ok(
          messages.length <= 1 + bytes / (bundleBytes - frameBytes - 16),
          `${messages.length} of them`,
        );
        const again = messages.flatMap((message) => framesOfBundle(message) as Uint8Array[]);
        assert.deepEqual(again, frames);
        assert.ok(again.every(({ byteOffset }) => byteOffset % 4 === 0));
      }),
      { numRuns: 50, seed: 5 },
    );
  });

  it('count as waiting before they are handed on', () => {
    const channel = new Channel();
    const bundler = new Bundler(channel);
    const before = bundler.bufferedAmount;
    bundler.send(new Uint8Array(1000));
    assert.ok(bundler.bufferedAmount >= before + 1000);
    assert.equal(channel.sent.length, 0);
    bundler.flush();
    bundler.flush();
    assert.equal(channel.sent.length, 1);
  });

  it('never take a channel past its mark, with what they add', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: frameBytes }), { minLength: 1, maxLength: 12 });
    const room = fc.integer({ min: 0, max: 4 * frameBytes });
    fc.assert(
      fc.property(sizes, room, (all, roomBytes) => {
        const channel = new Channel();
        const queue = new OutQueue({ messageBytes: frameBytes, queueBytes: 1e6, highWaterBytes: roomBytes });
        for (const bytes of all) queue.push(new Uint8Array(bytes));
        const bundler = new Bundler(channel);
        queue.pump(bundler, () => {});
        bundler.flush();
        assert.ok(channel.bufferedAmount <= roomBytes, `${channel.bufferedAmount} of ${roomBytes}`);
      }),
      {
        numRuns: 2000,
        seed: 5,
        examples: [
          [[1000], 1000],
          [[4, 4, 1001], 1028],
          [[frameBytes], frameBytes + 11],
        ],
      },
    );
  });

  it('are refused where a bundle claims what cannot be', () => {
    const bundle = (length: number, bytes: number) => {
      const made = new Uint8Array(8 + bytes);
      made[0] = BUNDLE_MARK;
      new DataView(made.buffer).setUint32(4, length, true);
      return made;
    };
    const bad = [
      Uint8Array.of(BUNDLE_MARK),
      Uint8Array.of(BUNDLE_MARK, 0, 0, 0),
      bundle(0, 0),
      bundle(9, 8),
      bundle(5, 5),
      bundle(4, 7),
      bundle(frameBytes + 4, frameBytes + 4),
      bundle(0xffffffff, 8),
    ];
    for (const bytes of bad)
      assert.equal(framesOfBundle(bytes), 'bundle-malformed', bytes.subarray(0, 9).join());
    assert.deepEqual(framesOfBundle(bundle(4, 4)), [new Uint8Array(4)]);
  });
});
