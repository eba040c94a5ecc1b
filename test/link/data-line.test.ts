import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DataLine } from '../../client/link/data-line.ts';
import { BLOB_FRAME_BYTES, encodeFrame, encodePart } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FakeClock } from './fake-clock.ts';

const {
  bufferedMs,
  bundleBytes,
  frameBytes,
  highWaterBytes,
  lowWaterBytes,
  patientBufferedBytes,
  pieceBytes,
  queueBytes,
} = LIMITS.link;

/** A line over a data channel of some rate, in virtual time. */
class Lab {
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readonly sent: Uint8Array[] = [];
  readonly clock = new FakeClock();
  readonly line = new DataLine(LIMITS.link, this.clock);

  send(bytes: Uint8Array): void {
    this.bufferedAmount += bytes.length;
    this.sent.push(bytes.slice());
  }

  pump(): void {
    this.line.pump([this], () => undefined);
  }

  /** The channel takes so much for so long; who sends keeps the line full, or sends a frame each so many milliseconds. */
  run(bytesPerSecond: number, ms: number, everyMs = 0): void {
    for (let i = 0; i < ms; i++) {
      this.clock.advance(1);
      const before = this.bufferedAmount;
      this.bufferedAmount = Math.max(0, before - bytesPerSecond / 1000);
      const low = this.bufferedAmountLowThreshold;
      if (before > low && this.bufferedAmount <= low) this.pump();
      if (everyMs === 0) while (this.line.push(new Uint8Array(frameBytes))) this.pump();
      else if (i % everyMs === 0 && this.line.push(new Uint8Array(frameBytes))) this.pump();
    }
  }
}

const highest = (lab: Lab, bytesPerSecond: number, ms: number): number => {
  let bytes = 0;
  for (let i = 0; i < ms; i++) {
    lab.run(bytesPerSecond, 1);
    bytes = Math.max(bytes, lab.bufferedAmount);
  }
  return bytes;
};

describe('a data line', () => {
  it('leaves a frame of one packet whole on a slow channel', () => {
    const lab = new Lab();
    lab.run(100_000, 5_000);
    while (lab.bufferedAmount > 0 || lab.line.bytes > 0) {
      lab.bufferedAmount = 0;
      lab.pump();
    }
    lab.sent.length = 0;
    for (const bytes of [pieceBytes, pieceBytes + 1]) lab.line.push(new Uint8Array(bytes));
    lab.pump();
    assert.deepEqual(
      lab.sent.map(({ length }) => length),
      [pieceBytes, pieceBytes, 8 + 1 + 8],
    );
  });

  it('lets no more wait on a slow channel than that takes soon, in pieces', () => {
    const lab = new Lab();
    const rate = 100_000;
    lab.run(rate, 15_000);
    assert.ok(highest(lab, rate, 1000) <= (1.1 * rate * bufferedMs) / 1000);
    assert.ok(lab.line.bytes <= 3 * frameBytes);
    assert.ok(lab.sent.slice(-50).every(({ length }) => length <= pieceBytes));
    const before = lab.sent.length;
    lab.run(rate, 1000);
    assert.ok((lab.sent.length - before) * pieceBytes > 0.9 * rate, 'and keeps it busy');
  });

  it('lets more wait on a slow channel of what nobody takes for lost because it is late', () => {
    const lab = new Lab();
    const rate = 20_000;
    lab.run(rate, 15_000);
    const payload = new Uint8Array(BLOB_FRAME_BYTES);
    const blob = encodeFrame({ kind: 'blob', id: 1, offset: 0, total: payload.length, payload });
    // What waited from before it was known to be slow leaves first.
    lab.run(rate, 60_000, Infinity);
    while (lab.line.push(blob)) lab.pump();
    assert.ok(lab.bufferedAmount > patientBufferedBytes - pieceBytes, `${lab.bufferedAmount} wait`);
    assert.ok(lab.bufferedAmount <= patientBufferedBytes);
    assert.ok(lab.bufferedAmountLowThreshold >= patientBufferedBytes / 2, 'and asks in time for more');
  });

  it('goes on over a channel that takes next to nothing', () => {
    const lab = new Lab();
    lab.run(100_000, 15_000);
    lab.run(500, 60_000);
    assert.ok(highest(lab, 500, 1000) <= 2 * pieceBytes);
    const before = lab.sent.length;
    lab.run(500, 60_000);
    assert.ok(lab.sent.length > before);
  });

  it('lets wait what the marks allow on a fast one, whether it is busy or not', () => {
    const busy = new Lab();
    assert.ok(highest(busy, 5_000_000, 3000) > highWaterBytes - frameBytes);
    const idle = new Lab();
    idle.run(5_000_000, 3000, 50);
    for (const lab of [busy, idle]) {
      lab.run(0, 1);
      assert.ok(lab.line.bytes > queueBytes - 2 * frameBytes);
      assert.ok(lab.bufferedAmountLowThreshold === lowWaterBytes);
    }
  });

  it('makes a frame of what came of it and of what came of its copy', () => {
    const lab = new Lab();
    const rate = 100_000;
    lab.run(rate, 15_000);
    const data = Float32Array.from({ length: 1000 }, (_, i) => i);
    const head = {
      kind: 'forward',
      term: 1,
      version: 1,
      planTag: 1,
      step: 1,
      micro: 1,
      boundary: 1,
    } as const;
    const part = {
      ...head,
      lane: 0,
      rows: 10,
      columns: 100,
      offset: 0,
      count: 1000,
      format: 'float32',
    } as const;
    const empty = () => {
      while (lab.line.bytes > 0) {
        lab.clock.advance(10);
        lab.bufferedAmount = Math.max(0, lab.bufferedAmount - rate / 100);
        lab.pump();
      }
    };
    const sentOf = (attempt: number) => {
      const before = lab.sent.length;
      assert.ok(lab.line.push(encodePart({ ...part, attempt }, data)));
      empty();
      return lab.sent.slice(before);
    };
    empty();
    const [, ...first] = sentOf(0);
    const copy = sentOf(1);
    assert.equal(copy.length, 4);
    const line = new DataLine(LIMITS.link, lab.clock);
    const frames = [...first, ...copy.slice(0, 2)].flatMap((piece) => line.receive(piece) as Uint8Array[]);
    assert.deepEqual(frames, [encodePart({ ...part, attempt: 1 }, data)]);
  });

  it('finds out that a slow channel has become fast, and the other way round', () => {
    const lab = new Lab();
    lab.run(50_000, 3000);
    lab.run(2_000_000, 3000);
    assert.equal(lab.sent.at(-1)!.length, frameBytes);
    lab.run(5_000_000, 3000);
    assert.ok(highest(lab, 5_000_000, 100) > highWaterBytes - frameBytes);
    lab.run(50_000, 10_000);
    assert.ok(lab.sent.at(-1)!.length <= pieceBytes);
  });

  it('puts frames together on a channel that is known to be fast, and waits with none for others', () => {
    const lab = new Lab();
    lab.run(5_000_000, 3000);
    const [first, ...others] = lab.sent;
    assert.equal(first.length, frameBytes, 'before anything is known');
    assert.ok(others.slice(-20).every(({ length }) => length > bundleBytes - frameBytes));
    assert.ok(others.slice(-20).every(({ length }) => length <= bundleBytes));
    lab.run(5_000_000, 1000, Infinity);
    const before = lab.sent.length;
    lab.line.push(new Uint8Array(100));
    lab.pump();
    assert.equal(lab.sent.length, before + 1);
  });

  it('takes what goes another way from now on for no sign of how fast that is', () => {
    const lab = new Lab();
    lab.run(2_000_000, 3000);
    const other = new Lab();
    lab.clock.advance(1);
    lab.line.pump([other], () => undefined);
    assert.ok(lab.line.bytesPerSecond < 2_100_000, `${lab.line.bytesPerSecond}`);
  });

  it('goes on by the other channels where one is stuck, and keeps no more before each than its share', () => {
    const clock = new FakeClock();
    const line = new DataLine(LIMITS.link, clock);
    const channels = [0, 1, 2].map(() => ({
      bufferedAmount: 0,
      bufferedAmountLowThreshold: 0,
      sentBytes: 0,
      send(bytes: Uint8Array) {
        this.bufferedAmount += bytes.length;
        this.sentBytes += bytes.length;
      },
    }));
    const rate = 100_000;
    for (let ms = 0; ms < 15_000; ms++) {
      clock.advance(1);
      for (const channel of channels.slice(1))
        channel.bufferedAmount = Math.max(0, channel.bufferedAmount - rate / 2 / 1000);
      while (line.push(new Uint8Array(frameBytes)));
      line.pump(channels, () => undefined);
    }
    const [stuck, ...others] = channels;
    for (const { sentBytes } of others) assert.ok(sentBytes > 0.8 * (rate / 2) * 15, `${sentBytes} bytes`);
    assert.ok(stuck.sentBytes <= highWaterBytes);
    const share = (1.2 * rate * bufferedMs) / 1000 / channels.length;
    for (const { bufferedAmount } of others) assert.ok(bufferedAmount <= share, `${bufferedAmount} wait`);
  });

  for (const rate of [0, 2_000_000, 5_000_000]) {
    it(`gives frames as they were, whatever they begin with, on a channel of ${rate / 1e6} MB/s`, () => {
      const lab = new Lab();
      lab.run(rate, 3000);
      lab.run(1e9, 1000, Infinity);
      lab.sent.length = 0;
      const frames = Array.from({ length: 256 }, (_, first) => Uint8Array.of(first, 1, 2, 3));
      for (const frame of frames) assert.ok(lab.line.push(frame));
      lab.pump();
      const there = new DataLine(LIMITS.link, lab.clock);
      assert.deepEqual(
        lab.sent.flatMap((message) => there.receive(message) as Uint8Array[]),
        frames,
      );
    });
  }
});
