import { assert } from '@open-wc/testing';
import { Outbox } from '../../../client/pipeline/outbox.ts';
import { Traffic } from '../../../client/pipeline/traffic.ts';
import { decodeFrame, type PartFrame } from '../../../shared/frames.ts';
import { FRAME_NUMBERS } from '../../../shared/packets.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { planOf } from '../../support/plans.ts';
import { Lab, open, pattern, same, until } from './meshes.ts';

describe('mesh', () => {
  const lab = new Lab();
  before(() => lab.start());
  afterEach(() => lab.clear());
  after(() => lab.stop());

  it('opens both channels, and control still delivers beside the second one', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    for (let i = 0; i < 20; i++) {
      assert.isTrue(a.mesh.send(b.id, 'control', pattern(50, i)));
      assert.isTrue(a.mesh.send(b.id, 'data', pattern(500, i)));
      assert.isTrue(b.mesh.send(a.id, 'control', pattern(60, i)));
      assert.isTrue(b.mesh.send(a.id, 'data', pattern(600, i)));
    }
    await until('all messages', () => a.received.length === 40 && b.received.length === 40);
    assert.isTrue(b.got('control').every((bytes, i) => same(bytes, pattern(50, i))));
    assert.isTrue(a.got('control').every((bytes, i) => same(bytes, pattern(60, i))));
    assert.equal(b.got('data').length, 20);
    assert.deepEqual(a.mesh.stats(), {
      bytesSent: 20 * 550,
      messagesSent: 40,
      bytesReceived: 20 * 660,
      messagesReceived: 40,
    });
    assert.deepEqual(a.mesh.linkStats(b.id), a.mesh.stats());
  });

  it('links three tabs pairwise, one link each, and tells the page who is there', async () => {
    const [, a, b, c] = lab.room('abc');
    const seen: string[] = [];
    a.mesh.onRoster((roster) => seen.push(roster.map((entry) => `${entry.name}=${entry.link}`).join()));
    await lab.join(a, b, c);
    assert.equal(lab.connections.length, 6);
    assert.deepEqual(
      a.mesh.members().map((one) => one.name),
      ['Peer a', 'Peer b', 'Peer c'],
    );
    assert.equal(seen[0], '');
    assert.include(seen, 'Peer b=connecting');
    assert.equal(seen.at(-1), 'Peer b=open,Peer c=open');
  });

  it('carries messages of every size up to the limits, and refuses larger ones', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const { frameBytes, controlMessageBytes } = LIMITS.link;
    const sizes = [1, 2, 3, 63, 64, 65, 1023, 1100, 4096, 8191, frameBytes - 1, frameBytes];
    const controlSizes = [...sizes, 20_000, 32_768, controlMessageBytes - 1, controlMessageBytes];
    for (const size of sizes) assert.isTrue(a.mesh.send(b.id, 'data', pattern(size, size)));
    for (const size of controlSizes) assert.isTrue(a.mesh.send(b.id, 'control', pattern(size, size)));
    await until('all sizes', () => b.received.length === sizes.length + controlSizes.length);
    const control = b.got('control');
    assert.deepEqual(
      control.map((bytes) => bytes.length),
      controlSizes,
    );
    for (const bytes of [...control, ...b.got('data')]) {
      assert.isTrue(same(bytes, pattern(bytes.length, bytes.length)));
    }
    assert.isFalse(a.mesh.send(b.id, 'data', new Uint8Array(frameBytes + 1)));
    assert.isFalse(a.mesh.send(b.id, 'control', new Uint8Array(controlMessageBytes + 1)));
    assert.equal(a.mesh.refusals.count('own-message-size'), 2);
  });

  it('refuses what is no binary message or too large for its channel, and goes on', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const raw = lab.channels.find((channel) => channel.label === 'control' && channel.readyState === 'open')!;
    raw.send('text');
    raw.send(new Uint8Array(LIMITS.link.controlMessageBytes + 1));
    await until('both refused', () => a.mesh.refusals.total === 2);
    assert.deepEqual(a.mesh.refusals.counts(), { 'message-not-binary': 1, 'message-oversized': 1 });
    b.mesh.send(a.id, 'control', pattern(5, 1));
    await until('the next message', () => a.received.length === 1);
  });

  it('holds the watermark under a flood, refuses what is beyond the queue, and loses nothing', async () => {
    const queueBytes = 4 * 1024 * 1024;
    const [, a, b] = lab.room('ab', { limits: { queueBytes } });
    await lab.join(a, b);
    const highest = watchBuffered();
    const total = 1200;
    let sent = 0;
    let refused = 0;
    const slowReader = setInterval(() => {
      const end = performance.now() + 15;
      while (performance.now() < end);
    }, 30);
    while (sent < total) {
      const frame = pattern(LIMITS.link.frameBytes, sent);
      new DataView(frame.buffer).setUint32(0, sent);
      if (a.mesh.send(b.id, 'data', frame)) sent++;
      else {
        refused++;
        assert.isAbove(a.mesh.roster()[0].queuedBytes, queueBytes - 2 * LIMITS.link.frameBytes);
        assert.isTrue(await a.mesh.whenWritable(b.id));
        assert.isAtMost(a.mesh.roster()[0].queuedBytes, LIMITS.link.lowWaterBytes);
      }
    }
    assert.isTrue(a.mesh.send(b.id, 'control', pattern(9, 9)));
    await until('every frame', () => b.got('data').length === total, 50_000);
    clearInterval(slowReader);
    assert.isAbove(refused, 0);
    assert.isAtLeast(highest(), 1);
    assert.isAtMost(highest(), LIMITS.link.highWaterBytes);
    const numbers = new Set(
      b.got('data').map((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)),
    );
    assert.equal(numbers.size, total);
    for (const bytes of b.got('data').slice(-20)) {
      const number = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
      assert.isTrue(same(bytes.subarray(4), pattern(LIMITS.link.frameBytes, number).subarray(4)));
    }
    const controlAt = b.received.findIndex((message) => message.channel === 'control');
    assert.isAtLeast(controlAt, 0);
    assert.isAtMost(controlAt, total - 10);
    assert.deepEqual(a.closed.concat(b.closed), []);
    assert.equal(a.links.length, 1);
  });

  it('goes on by itself where a channel is below the low-water mark and the next message does not fit', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const { controlMessageBytes, lowWaterBytes, highWaterBytes } = LIMITS.link;
    const small = 4000;
    const count = Math.floor(lowWaterBytes / small);
    assert.isAbove(count * small + controlMessageBytes, highWaterBytes);
    for (let i = 0; i < count; i++) a.mesh.send(b.id, 'control', pattern(small, i));
    a.mesh.send(b.id, 'control', pattern(controlMessageBytes, 1));
    await until('the large one', () => b.got('control').length === count + 1, 5_000);
  });

  it('lets parts take turns: a small one is not held up by a large one', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const outbox = new Outbox(a.mesh, planOf([], a.id), 0, 'float32', new Traffic(), () => undefined);
    const send = (rows: number, micro: number) => {
      const width = FRAME_NUMBERS.float32;
      const range: [number, number] = [0, width];
      const ends = [{ peer: b.id, lane: 0, range }];
      const shape = { shape: [width], units: width, outer: 1, inner: 1, space: 0 };
      const boundary = { index: 0, shape, held: range, ends };
      const data = new Float32Array(rows * width);
      return outbox.send({ kind: 'forward', boundary, ends, step: 0, micro, rows, data });
    };
    const large = 1000;
    const sent = [send(large, 1), send(3, 2)];
    await until('both parts', () => b.got('data').length === large + 3);
    assert.deepEqual(await Promise.all(sent), [[], []]);
    const micros = b.got('data').map((bytes) => (decodeFrame(bytes) as PartFrame).micro);
    assert.isBelow(micros.lastIndexOf(2), large / 5);
  });

  it('lets control go first: data waits while a control message does', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const { controlMessageBytes, highWaterBytes } = LIMITS.link;
    const count = Math.ceil(highWaterBytes / controlMessageBytes) + 2;
    for (let i = 0; i < count; i++) a.mesh.send(b.id, 'control', pattern(controlMessageBytes, i));
    a.mesh.send(b.id, 'data', pattern(1000, 1));
    const data = lab.channels.filter((channel) => channel.label === 'data');
    assert.deepEqual(
      data.map((channel) => channel.bufferedAmount),
      [0, 0],
    );
    assert.isAbove(a.mesh.roster()[0].queuedBytes, controlMessageBytes);
    await until('all of it', () => b.got('control').length === count && b.got('data').length === 1);
  });

  it('keeps early messages up to a bound, and refuses the rest', async () => {
    const [, a, b] = lab.room('ab');
    a.listen();
    for (const tab of [a, b]) tab.seat.join();
    await open(a, b);
    const { earlyMessages } = LIMITS.link;
    const message = (i: number) => Uint8Array.of(0x80, ...pattern(20, i));
    for (let i = 0; i < earlyMessages + 30; i++) a.mesh.send(b.id, 'control', message(i));
    await until('the excess refused', () => b.mesh.refusals.count('early-overflow') === 30);
    b.listen();
    assert.deepEqual(b.opened, [a.id]);
    assert.equal(b.received.length, earlyMessages);
    assert.isTrue(b.got('control').every((bytes, i) => same(bytes, message(i))));
  });

  it('knows that packets come where no message does', async () => {
    const [, a, b] = lab.room('ab', { limits: { packetWatchMs: 20 } });
    await lab.join(a, b);
    const sinceMs = a.clock.now();
    await until('acknowledgements', () => {
      a.mesh.send(b.id, 'control', pattern(10, 1));
      return a.mesh.heardAtMs(b.id) > sinceMs;
    });
    assert.deepEqual(a.got('control'), []);
    assert.equal(a.mesh.heardAtMs('pzzzzzzzzz'), -Infinity);
  });
});

/** The largest amount that waited in any channel of any tab right after a `send`. */
function watchBuffered(): () => number {
  let highest = 0;
  const original = Reflect.get(RTCDataChannel.prototype, 'send') as (bytes: ArrayBufferView) => void;
  RTCDataChannel.prototype.send = function (this: RTCDataChannel, bytes: unknown) {
    original.call(this, bytes as ArrayBufferView);
    highest = Math.max(highest, this.bufferedAmount);
  };
  return () => {
    RTCDataChannel.prototype.send = original as RTCDataChannel['send'];
    return highest;
  };
}
