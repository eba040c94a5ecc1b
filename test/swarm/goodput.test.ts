import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { GoodputProbe } from '../../client/swarm/membership/goodput.ts';
import { decodeFrame, type ProbeFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

const PEER = 'pbbbbbbbbb';
const { goodputBursts, goodputBurstBeats, goodputBurstMs, goodputProbeBytes, goodputProbeMaxBytes } =
  LIMITS.link;

/** A probe whose clock is set by hand; what it sends is kept, what it measured too. */
function rig() {
  const time = { ms: 0 };
  const sent: ProbeFrame[] = [];
  const rates: number[] = [];
  const transport = {
    send: (_to: unknown, _channel: unknown, bytes: Uint8Array) =>
      sent.push(decodeFrame(bytes) as ProbeFrame) > 0,
  };
  const probe = new GoodputProbe(
    { now: () => time.ms } as never,
    transport as never,
    (_peer, bytesPerSecond) => rates.push(bytesPerSecond),
  );
  const receive = (frames: ProbeFrame[], everyMs: number) => {
    for (const frame of frames) {
      probe.receive(PEER, frame);
      time.ms += everyMs;
    }
  };
  return { time, sent, rates, probe, receive };
}

/** All that is sent to a peer in so many beats. */
function burstsIn(beats: number, training: boolean): ProbeFrame[][] {
  const { probe, sent } = rig();
  probe.probe(PEER);
  const bursts = [sent.splice(0)];
  for (let i = 0; i < beats; i++) {
    probe.beat(training);
    bursts.push(sent.splice(0));
  }
  return bursts;
}

describe('what a link carries', () => {
  it('is measured by several bursts, beats apart', () => {
    const sizes = burstsIn(50, false).map((frames) => frames.length);
    const count = sizes[0];
    assert.ok(count > 1);
    const at = sizes.flatMap((size, beat) => (size > 0 ? [beat] : []));
    assert.deepEqual(
      at,
      Array.from({ length: goodputBursts }, (_, i) => i * goodputBurstBeats),
    );
    assert.ok(sizes.every((size) => size === 0 || size === count));
  });

  it('is measured by longer bursts where the first came fast, up to a bound', () => {
    const [first] = burstsIn(0, false);
    const laterAfter = (everyMs: number) => {
      const { probe, receive, sent } = rig();
      probe.probe(PEER);
      receive(first, everyMs);
      sent.length = 0;
      for (let i = 0; i < goodputBurstBeats; i++) probe.beat(false);
      return sent.reduce((sum, { payload }) => sum + payload.length, 0);
    };
    const frame = first[0].payload.length;
    const close = (bytes: number, wanted: number) => assert.ok(bytes >= wanted && bytes < wanted + frame);
    // 16 kB in 20 ms are too slow for more; in 5 ms they fit 12 times into 60 ms; in 0.1 ms more often than is good.
    close(laterAfter(20), goodputProbeBytes);
    close(laterAfter(5), (goodputBurstMs / 5) * frame);
    close(laterAfter(0.1), goodputProbeMaxBytes);
  });

  it('is measured by one burst while training is on', () => {
    const frames = burstsIn(50, true).flat();
    assert.equal(frames.length, frames[0].count);
  });

  it('is what came after the first frame over the time that took', () => {
    const [first] = burstsIn(0, false);
    const { receive, rates } = rig();
    receive(first, 10);
    const bytes = first.slice(1).reduce((sum, { payload }) => sum + payload.length, 0);
    assert.deepEqual(rates, [bytes / (0.01 * (first.length - 1))]);
    assert.ok(bytes > 0.8 * goodputProbeBytes);
  });

  it('does not depend on what comes late of the burst before', () => {
    const bursts = burstsIn(goodputBurstBeats, false);
    const [one, two] = [bursts[0], bursts[goodputBurstBeats]];
    const { receive, rates } = rig();
    receive(one.slice(0, 3), 400);
    receive([two[0], one[3], ...two.slice(1, 4), one[4], ...two.slice(4)], 10);
    assert.equal(rates.length, 1);
    const bytes = two.slice(1).reduce((sum, { payload }) => sum + payload.length, 0);
    assert.equal(rates[0], bytes / (0.01 * (two.length - 1 + 2)));
  });

  it('does not depend on a burst of which frames are missing', () => {
    const [first] = burstsIn(0, false);
    const { time, receive, rates } = rig();
    receive(first.slice(1), 10);
    time.ms += LIMITS.link.goodputProbeMs + 1;
    receive(first, 10);
    assert.equal(rates.length, 1);
  });
});
