import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LaneEnd } from '../../client/pipeline/assignment.ts';
import { Outbox, type Departure, type OutboxOptions, type SentPart } from '../../client/pipeline/outbox.ts';
import { Traffic } from '../../client/pipeline/traffic.ts';
import type { Transport } from '../../client/ports/transport.ts';
import { decodeFrame, type PartFrame } from '../../shared/frames.ts';
import { FRAME_NUMBERS, PACKET_NUMBERS } from '../../shared/packets.ts';
import { LIMITS } from '../../shared/limits.ts';
import { takeNumbers } from '../../shared/number-pool.ts';
import { readNumbers } from '../../shared/wire.ts';
import { planOf } from '../support/plans.ts';

/** A link that takes `room` frames, and as many again each time it is emptied. */
class NarrowLink implements Transport {
  readonly self = 'me';
  readonly sent: PartFrame[] = [];
  /** To whom each of them. */
  readonly receivers: string[] = [];
  /** A peer to whom there is no link. */
  gone = '';
  #free: number;
  #waiting: ((writable: boolean) => void)[] = [];

  constructor(private readonly room: number) {
    this.#free = room;
  }

  send(to: string, _channel: string, bytes: Uint8Array): boolean {
    if (this.#free === 0 || to === this.gone) return false;
    this.#free--;
    this.receivers.push(to);
    this.sent.push(decodeFrame(bytes) as PartFrame);
    return true;
  }

  whenWritable(peer: string): Promise<boolean> {
    if (peer === this.gone) return Promise.resolve(false);
    if (this.#free > 0) return Promise.resolve(true);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** What was taken is gone: all who wait may go on. */
  async empty(): Promise<void> {
    this.#free = this.room;
    for (const resolve of this.#waiting.splice(0)) resolve(true);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Until so many frames were sent. */
  async emptyUntil(frames: number): Promise<void> {
    for (let round = 0; this.sent.length < frames; round++) {
      assert.ok(round < 100, `only ${this.sent.length} of ${frames} frames were sent`);
      await this.empty();
    }
  }

  listen(): void {
    // Nothing comes here.
  }
  peers = () => ['other'];
  stats = () => ({ bytesSent: 0, messagesSent: 0, bytesReceived: 0, messagesReceived: 0 });
  close(): void {
    // Nothing is open.
  }
}

/** How long parts may wait for their link. */
const LINE_MS = 1000;
const WIDTH = FRAME_NUMBERS.float32;

/** A part of `rows` frames for `ends`, each of its numbers different. */
function departure(rows: number, ends: LaneEnd[], micro = 0): Departure {
  const shape = { shape: [WIDTH], units: WIDTH, outer: 1, inner: 1, space: 0 };
  const boundary = { index: 0, shape, held: [0, WIDTH] as [number, number], ends };
  const data = Float32Array.from({ length: rows * WIDTH }, (_, i) => i);
  return { kind: 'forward', boundary, ends, step: 0, micro, rows, data };
}

const end = (peer: string, lane: number): LaneEnd => ({ peer, lane, range: [0, WIDTH] });

function outboxOf(
  link: NarrowLink,
  {
    kept = [],
    traffic = new Traffic(),
    ...options
  }: Partial<OutboxOptions> & { kept?: Float32Array[]; traffic?: Traffic } = {},
): Outbox {
  const keep = (_: Departure, data: Float32Array) => kept.push(data);
  return new Outbox(link, planOf([], 'me'), 0, 'float32', traffic, keep, options);
}

/** Frames of one part put together are the numbers that `departure` makes. */
function assertArrived(sent: readonly PartFrame[], rows: number): void {
  const received = new Float32Array(rows * WIDTH).fill(-1);
  for (const frame of sent) assert.ok(readNumbers('float32', frame.payload, frame, received));
  assert.ok(received.every((x, i) => x === i));
}

describe('the outbox', () => {
  it('lets parts that wait for a link take turns, so that a small one need not wait for a large one', async () => {
    const link = new NarrowLink(4);
    const outbox = outboxOf(link);
    const large = outbox.send(departure(40, [end('other', 1)], 1));
    const small = outbox.send(departure(2, [end('other', 1)], 2));
    let isThrough = false;
    void small.then((lost) => (isThrough = lost.length === 0));
    for (let round = 0; round < 3; round++) await link.empty();
    assert.ok(isThrough, `after ${link.sent.length} of 42 frames`);
    await link.emptyUntil(42);
    assert.deepEqual(await large, []);
  });

  it('gives this peer its own part as it is, and sends the others theirs although it is moved away', async () => {
    const link = new NarrowLink(3);
    const kept: Float32Array[] = [];
    const leaving = departure(10, [end('me', 0), end('other', 1)]);
    const sent = outboxOf(link, { kept }).send(leaving);
    assert.equal(kept[0], leaving.data, 'no copy');
    structuredClone(kept[0], { transfer: [kept[0].buffer] });
    assert.equal(leaving.data.length, 0);
    await link.emptyUntil(10);
    assert.deepEqual(await sent, []);
    assertArrived(link.sent, 10);
  });

  it('has done with its arrays when it has sent, or copied what waits: others may use them', async () => {
    const link = new NarrowLink(3);
    const sent = outboxOf(link).send(departure(10, [end('other', 1)]));
    takeNumbers(10 * WIDTH).fill(-5);
    await link.emptyUntil(10);
    assert.deepEqual(await sent, []);
    assertArrived(link.sent, 10);
  });

  it('leaves the array alone that this very peer was given', async () => {
    const kept: Float32Array[] = [];
    await outboxOf(new NarrowLink(100), { kept }).send(departure(10, [end('other', 1), end('me', 0)]));
    assert.notEqual(takeNumbers(10 * WIDTH), kept[0]);
  });

  it('lets only so many parts wait for a link where parts may be lost, and says what it drops', async () => {
    const link = new NarrowLink(1);
    const dropping = outboxOf(link, { lineMs: LINE_MS });
    const packets: (number | null)[] = [];
    const onSent = (_: LaneEnd, sent: SentPart) => packets.push(sent.packets);
    for (let micro = 0; micro < 40; micro++)
      void dropping.send({ ...departure(1, [end('other', 1)], micro), onSent });
    const { partsWaiting } = LIMITS.pipeline;
    assert.equal(packets.filter((count) => count === 0).length, 40 - 1 - partsWaiting);
    await link.emptyUntil(1 + partsWaiting);
    await link.empty();
    assert.equal(link.sent.length, 1 + partsWaiting);
    assert.equal(packets.filter((count) => count === null).length, 1 + partsWaiting);
  });

  it('drops what waited too long or is wanted no more, whole or the rest of it, and says how much went', async () => {
    const link = new NarrowLink(1);
    let nowMs = 0;
    let isStale = false;
    const outbox = outboxOf(link, { lineMs: LINE_MS, now: () => nowMs });
    const told: [number, number | null][] = [];
    const send = (micro: number) =>
      outbox.send({
        ...departure(3, [end('other', 1)], micro),
        isStale: () => micro === 3 && isStale,
        onSent: (_, { packets }) => told.push([micro, packets]),
      });
    const sent = [send(1)];
    await link.empty();
    nowMs = LINE_MS / 2;
    sent.push(send(2), send(3));
    isStale = true;
    nowMs = LINE_MS + 1;
    while (told.length < 3) await link.empty();
    assert.deepEqual(told, [
      [1, 2 * LIMITS.link.framePackets],
      [3, 0],
      [2, null],
    ]);
    assert.deepEqual(await Promise.all(sent), [[], [], []]);
  });

  it('sends what is asked for again, and of a part with gaps only what it had', async () => {
    const link = new NarrowLink(1000);
    const keeping = outboxOf(link, { keeps: 2, packetsAtOnce: () => 1 });
    const { framePackets } = LIMITS.link;
    const gaps = new Map([[1, new Set([17, 2])]]);
    for (let micro = 0; micro < 3; micro++)
      await keeping.send({ ...departure(4, [end('other', 1)], micro), ...(micro === 2 && { gaps }) });
    const again = (micro: number, packets: number[]) => {
      link.sent.length = 0;
      const stream = { kind: 'forward' as const, boundary: 0, step: 0 };
      keeping.resend('other', { ...stream, micro, packets, attempt: 2 });
      return link.sent.map(({ offset, attempt, sent }) => [offset / PACKET_NUMBERS.float32, attempt, sent]);
    };
    assert.deepEqual(again(0, []), [], 'too long ago');
    assert.deepEqual(again(1, [3, 1, 4 * framePackets]), [
      [1, 2, undefined],
      [3, 2, undefined],
    ]);
    assert.deepEqual(again(1, []).length, 4 * framePackets);
    assert.deepEqual(again(2, []), [
      [2, 2, 2],
      [17, 2, 2],
    ]);
  });
});

describe('parts that may get lost', () => {
  it('go packet by packet where that is said, and gaps are left out', async () => {
    const link = new NarrowLink(100);
    const perFrame = { often: 1, seldom: LIMITS.link.framePackets };
    const outbox = outboxOf(link, { packetsAtOnce: (to) => perFrame[to as keyof typeof perFrame] });
    const places = () =>
      link.sent
        .splice(0)
        .map(({ offset, count, sent }) => [
          offset / PACKET_NUMBERS.float32,
          count / PACKET_NUMBERS.float32,
          sent,
        ]);
    const gaps = new Map([[1, new Set([16, 3, 2, 5])]]);
    await outbox.send({ ...departure(2, [end('seldom', 1)]), gaps });
    assert.deepEqual(places(), [
      [2, 2, 4],
      [5, 1, 4],
      [16, 1, 4],
    ]);
    await outbox.send({ ...departure(2, [end('often', 1)]), gaps });
    assert.deepEqual(
      places(),
      [2, 3, 5, 16].map((packet) => [packet, 1, 4]),
    );
    await outbox.send(departure(2, [end('seldom', 1)]));
    assert.deepEqual(
      places(),
      [0, 15].map((packet) => [packet, 15, undefined]),
    );
  });

  it('go as often as is said, copies after all frames, and no more than the link takes at once', async () => {
    const link = new NarrowLink(5);
    const traffic = new Traffic();
    const asked: [string, number][] = [];
    const waysAgain = (to: string, bytes: number) => {
      asked.push([to, bytes]);
      return ['other', 'other'];
    };
    const outbox = outboxOf(link, { traffic, waysAgain });
    const told: (number | null)[] = [];
    assert.ok(
      await outbox.send({
        ...departure(2, [end('other', 0)]),
        onSent: (_, { packets }) => told.push(packets),
      }),
    );
    assert.deepEqual(
      link.sent.map(({ offset, attempt = 0 }) => [offset / WIDTH, attempt]),
      [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
        [0, 2],
      ],
    );
    assert.deepEqual(told, [null]);
    const [{ forwardBytes, resentBytes }] = traffic.counts();
    assert.deepEqual(asked, [['other', forwardBytes]]);
    assert.equal(resentBytes, 1.5 * forwardBytes);
  });

  it('go by way of others, too: the header says to which lane', async () => {
    const link = new NarrowLink(10);
    const outbox = outboxOf(link, { waysAgain: () => ['third', 'other'] });
    assert.deepEqual(await outbox.send(departure(1, [end('other', 3)])), []);
    assert.deepEqual(link.receivers, ['other', 'third', 'other']);
    assert.deepEqual(
      link.sent.map(({ toLane, attempt = 0 }) => [toLane, attempt]),
      [
        [undefined, 0],
        [3, 1],
        [undefined, 2],
      ],
    );
  });

  it('go by way of others alone where their own link is gone, and are lost where nobody takes them', async () => {
    const link = new NarrowLink(10);
    link.gone = 'other';
    const around = outboxOf(link, { waysAgain: () => ['third', 'other'] });
    assert.deepEqual(await around.send(departure(2, [end('other', 1)])), []);
    assert.deepEqual(
      link.sent.map(({ offset, toLane }) => [offset / WIDTH, toLane]),
      [
        [0, 1],
        [1, 1],
      ],
    );
    const straight = outboxOf(link, { waysAgain: () => ['other'] });
    assert.deepEqual(await straight.send(departure(2, [end('other', 1)])), ['other']);
    assert.equal(link.sent.length, 2);
  });
});
