import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClockOffsets } from '../../client/swarm/membership/clock-offsets.ts';
import { LinkTable } from '../../client/swarm/membership/link-table.ts';
import { Liveness } from '../../client/swarm/membership/liveness.ts';
import { LIMITS } from '../../shared/limits.ts';
import { VirtualTime } from '../simulation/virtual-clock.ts';

const PEER = 'pbbbbbbbbb';
const { gapFactor, gapsKept, heartbeatMs, linkGapFactor, silenceMs, silenceLossyMs } = LIMITS.liveness;

/** A heartbeat: when it comes, and when it was sent by the clock over there. */
type Beat = [atMs: number, sentAtMs: number];

interface Scene {
  packetsUntilMs?: number;
  beats?: readonly Beat[];
  /** This device does nothing in that time; what comes then is there when it goes on. */
  busy?: [fromMs: number, toMs: number];
}

/** When a peer that says no more is judged gone. */
async function goneAfterMs({
  packetsUntilMs = -Infinity,
  beats = [],
  busy = [-1, -1],
}: Scene): Promise<number> {
  const time = new VirtualTime();
  let goneAtMs = Infinity;
  const isBusy = (atMs: number) => atMs >= busy[0] && atMs < busy[1];
  const clock = time.clockFor(
    () => true,
    () => (isBusy(time.nowMs) ? busy[1] : 0),
  );
  const liveness = new Liveness(
    clock,
    new LinkTable('paaaaaaaaa'),
    new ClockOffsets(),
    () => [PEER],
    () => undefined,
    () => null,
    () => true,
    () => Math.min(clock.now(), packetsUntilMs),
    {
      onAlive: () => undefined,
      onGone: () => (goneAtMs = clock.now()),
      onBeat: () => undefined,
    },
  );
  liveness.greet(PEER);
  for (const [i, [atMs, sentAtMs]] of beats.entries()) {
    time.at(isBusy(atMs) ? busy[1] : atMs, () => {
      liveness.heard(PEER);
      liveness.heartbeat(PEER, {
        type: 'heartbeat',
        count: i + 1,
        sentAtMs,
        echo: null,
        term: null,
        row: [],
      });
    });
  }
  await time.runUntil(() => goneAtMs < Infinity, 60_000);
  liveness.close();
  return goneAtMs;
}

describe('a peer that says no more', () => {
  /** Not only with the next heartbeats. */
  const within = (ms: number, least: number) => ms > least && ms <= least + 2;

  it('is gone soon where its link is silent, too', async () => {
    assert.ok(within(await goneAfterMs({}), silenceMs));
  });

  it('is given longer while its packets come', async () => {
    assert.ok(within(await goneAfterMs({ packetsUntilMs: Infinity }), silenceLossyMs));
  });

  it('is gone soon after the last packet', async () => {
    assert.ok(within(await goneAfterMs({ packetsUntilMs: 3000 }), 3000 + silenceMs));
  });

  it('is given longer where its link makes gaps, but not for ever', async () => {
    const gapMs = 1500;
    const beats = [1, 2, 3].map((i): Beat => [i * gapMs, i * heartbeatMs]);
    assert.ok(within(await goneAfterMs({ beats }), 3 * gapMs + linkGapFactor * gapMs));
    const longer = [...beats, [3 * gapMs + linkGapFactor * gapMs, 4 * heartbeatMs] as Beat];
    assert.ok(within(await goneAfterMs({ beats: longer }), longer[3][0] + silenceLossyMs));
  });

  it('is given little more where its device is busy: that is no sign of longer gaps', async () => {
    const late = (gapMs: number) => [1, 2, 3].map((i): Beat => [i * gapMs, i * gapMs - 5]);
    assert.ok(within(await goneAfterMs({ beats: late(900) }), 3 * 900 + silenceMs));
    assert.ok(within(await goneAfterMs({ beats: late(1800) }), 3 * 1800 + gapFactor * 1800));
  });

  it('is given no more where this device was busy', async () => {
    const beats = Array.from({ length: 8 }, (_, i): Beat => [(i + 1) * heartbeatMs, (i + 1) * heartbeatMs]);
    const goneAtMs = await goneAfterMs({ beats, busy: [850, 2050] });
    assert.ok(within(goneAtMs, beats.at(-1)![0] + silenceMs), `at ${goneAtMs}`);
  });

  it('is gone soon where the last gap is long ago', async () => {
    const beats: Beat[] = [[heartbeatMs, heartbeatMs]];
    for (let i = 0; i <= gapsKept; i++) beats.push([1900 + i * heartbeatMs, (2 + i) * heartbeatMs]);
    assert.ok(within(await goneAfterMs({ beats }), beats.at(-1)![0] + silenceMs));
  });
});
