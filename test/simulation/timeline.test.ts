import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isWork, Timeline } from '../../client/pipeline/timeline.ts';
import { decodeSpans, encodeSpans } from '../../client/swarm/record/timelines.ts';
import { ClockOffsets } from '../../client/swarm/membership/clock-offsets.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { Span } from '../../shared/schema/timeline.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

/** A room whose clocks are up to minutes apart, and one way of each link takes longer than the room's work. */
async function skewedRoom(): Promise<SimRoom> {
  const room = new SimRoom(3, { skewsMs: [0, -70_000, 123_456] });
  const [a, b, c] = room.peers.map(({ id }) => id);
  room.network.shape(a, b, { latencyMs: 12 });
  room.network.shape(a, c, { latencyMs: 30 });
  room.network.shape(b, c, { latencyMs: 7 });
  assert.ok(await room.settle());
  return room;
}

async function reportOf(room: SimRoom, number = 1): Promise<Report> {
  let answered = false;
  const pending = room.peers[number - 1].swarm.report().finally(() => (answered = true));
  await room.run(() => answered);
  return pending;
}

type ReportPart = Extract<Report['timelines'][number]['spans'][number], { bytes: number }>;

const partsOf = ({ spans }: Report['timelines'][number], kind: ReportPart['kind']) =>
  spans.filter((span): span is ReportPart => span.kind === kind);

const nameOf = (part: ReportPart, from: string, to: string) =>
  [from, to, part.way, part.boundary, part.step, part.micro].join('/');

describe('timelines', () => {
  it('of all peers are on one clock: what was sent arrives one way later, however far clocks are apart', async () => {
    const room = await skewedRoom();
    await room.train(tinyConfig({ steps: 30 }));
    for (const reporter of [1, 3]) {
      const { timelines } = await reportOf(room, reporter);
      assert.equal(timelines.length, 3);
      const sends = new Map(
        timelines.flatMap((timeline) =>
          partsOf(timeline, 'send').map((part) => [nameOf(part, timeline.peer, part.peer), part] as const),
        ),
      );
      let pairs = 0;
      for (const timeline of timelines) {
        for (const part of partsOf(timeline, 'receive')) {
          const send = sends.get(nameOf(part, part.peer, timeline.peer))!;
          const { latencyMs } = room.network.shapeOf(part.peer, timeline.peer);
          const wayMs = part.end_ms - send.start_ms;
          assert.equal(send.bytes, part.bytes);
          assert.ok(wayMs >= 0, `received ${-wayMs} ms before it was sent, by the clock of peer ${reporter}`);
          assert.ok(Math.abs(wayMs - latencyMs) < 2, `${wayMs} ms on a link of ${latencyMs} ms`);
          pairs++;
        }
      }
      assert.equal(pairs, sends.size);
      assert.equal(pairs, 2 * 2 * 30 * 4, 'two boundaries, two ways, every micro-batch');
    }
    room.close();
  });

  it('say what each block did and what it waited for', async () => {
    const room = await skewedRoom();
    await room.train(tinyConfig({ steps: 10 }));
    const { timelines, steps, plan } = await reportOf(room);
    for (const { peer, spans } of timelines) {
      const count = (kind: string) => spans.filter((span) => span.kind === kind).length;
      assert.deepEqual([count('forward'), count('backward'), count('step')], [40, 40, 10]);
      const stage = plan.stages.findIndex(({ lanes }) => lanes.includes(peer));
      const waits = spans.flatMap((span) => (span.kind === 'wait' ? [span.missing] : []));
      if (stage === 0) assert.ok(waits.includes('backward'), 'the first stage waits for gradients');
      if (stage === 2) assert.ok(waits.includes('forward'), 'the last stage waits for inputs');
      assert.ok(spans.every((span) => span.end_ms >= span.start_ms));
      const own = spans.filter(({ kind }) => !['send', 'receive'].includes(kind));
      own
        .slice(1)
        .forEach((span, i) => assert.ok(span.start_ms >= own[i].end_ms - 0.002, 'one thing at a time'));
      const head = plan.stages.at(-1)!.lanes[0] === peer;
      // The room hears of a step when it is done.
      const last = own.at(-1)!;
      if (head) assert.ok(steps.at(-1)!.t_ms >= last.end_ms - 0.002 && last.kind === 'step');
    }
    room.close();
  });

  it('are asked of those who are still here', async () => {
    const room = await skewedRoom();
    await room.train(tinyConfig({ steps: 4 }));
    room.kill(2);
    const { timelines, peers } = await reportOf(room);
    assert.equal(peers.length, 3);
    assert.deepEqual(
      timelines.map(({ peer }) => peer),
      [room.peers[0].id, room.peers[2].id],
    );
    room.close();
  });

  it('keep the latest spans, and count the time of all', () => {
    const timeline = new Timeline();
    const total = 3 * LIMITS.pipeline.spansKept;
    for (let i = 0; i < total; i++)
      timeline.add({ kind: 'forward', step: i, micro: 0, startMs: 2 * i, endMs: 2 * i + 1 });
    const wait = { step: total, micro: 0, startMs: 2 * total, endMs: 9 * total };
    timeline.add({ kind: 'wait', ...wait, missing: 'forward' });
    const spans = timeline.spans();
    assert.ok(spans.length <= LIMITS.pipeline.spansKept && spans.length >= LIMITS.pipeline.spansKept / 2);
    assert.deepEqual([spans.at(-1)!.step, spans.at(-2)!.step], [total, total - 1]);
    assert.equal(timeline.busyMs, total, 'waiting is not computing');
    assert.equal(spans.filter(isWork).length, spans.length - 1);
  });

  it('come through a blob as they were, and are refused where they are none', () => {
    const spans: Span[] = [
      { kind: 'weights', step: 3, micro: 1, startMs: 1.25, endMs: 2.5 },
      { kind: 'wait', step: 3, micro: 1, startMs: 2.5, endMs: 4, missing: 'backward' },
      {
        kind: 'send',
        way: 'forward',
        step: 3,
        micro: 2,
        startMs: 1,
        endMs: 2,
        boundary: 1,
        peer: 'p000000001',
        bytes: 99,
      },
    ];
    assert.deepEqual(decodeSpans(encodeSpans(spans)), spans);
    const bad = { ...spans[0], endMs: NaN };
    assert.throws(() => decodeSpans(encodeSpans([bad])), /timeline is malformed: 0\.endMs/);
    const many = Array.from({ length: LIMITS.pipeline.spansKept + 1 }, () => spans[0]);
    assert.throws(() => decodeSpans(encodeSpans(many)), /timeline is malformed/);
  });
});

describe('offsets of clocks', () => {
  it('follow clocks that drift apart, and leave late heartbeats out', () => {
    const clocks = new ClockOffsets();
    const theirs = (ownMs: number) => 5_000 + ownMs * (1 + 1e-4);
    for (let i = 0; i < 300; i++) {
      const sentMs = 400 * i;
      // Every other window has nothing but heartbeats that waited 40 ms on their way here.
      const lateMs = Math.floor(theirs(sentMs) / LIMITS.liveness.clockSampleMs) % 2 ? 40 : (i * 7) % 5;
      clocks.sample('p000000002', theirs(sentMs), sentMs + 10 + lateMs, 20 + lateMs);
    }
    const toOwn = clocks.toOwn('p000000002');
    for (let ms = 0; ms < 120_000; ms += 700) {
      const errorMs = Math.abs(toOwn(theirs(ms)) - ms);
      assert.ok(errorMs < 2, `off by ${errorMs} ms after ${ms} ms, though the clocks part by 12 ms`);
    }
    assert.equal(clocks.of('p000000002')!.rttMs, 20);
  });

  it('are none before anything was measured', () => {
    const clocks = new ClockOffsets();
    assert.equal(clocks.of('p000000002'), null);
    assert.equal(clocks.toOwn('p000000002')(7), 7);
  });
});
