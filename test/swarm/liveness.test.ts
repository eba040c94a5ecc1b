import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClockOffsets } from '../../client/swarm/membership/clock-offsets.ts';
import { LinkTable } from '../../client/swarm/membership/link-table.ts';
import { Liveness } from '../../client/swarm/membership/liveness.ts';
import { LIMITS } from '../../shared/limits.ts';
import { VirtualTime } from '../simulation/virtual-clock.ts';

const PEER = 'pbbbbbbbbb';
const { gapFactor, gapsKept, heartbeatMs, silenceMs, silenceLossyMs } = LIMITS.liveness;

/** When a peer that says no more is judged gone, where packets come from it until `packetsUntilMs` and messages at `messagesMs`. */
async function goneAfterMs(packetsUntilMs: number, messagesMs: readonly number[] = []): Promise<number> {
  const time = new VirtualTime();
  let goneAtMs = Infinity;
  const clock = time.clockFor(
    () => true,
    () => 0,
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
  for (const atMs of messagesMs) clock.after(atMs, () => liveness.heard(PEER));
  await time.runUntil(() => goneAtMs < Infinity, 60_000);
  liveness.close();
  return goneAtMs;
}

describe('a peer that says no more', () => {
  const within = (ms: number, least: number) => ms > least && ms <= least + heartbeatMs;

  it('is gone soon where its link is silent, too', async () => {
    assert.ok(within(await goneAfterMs(-Infinity), silenceMs));
  });

  it('is given longer while its packets come', async () => {
    assert.ok(within(await goneAfterMs(Infinity), silenceLossyMs));
  });

  it('is gone soon after the last packet', async () => {
    assert.ok(within(await goneAfterMs(3000), 3000 + silenceMs));
  });

  it('is given longer where its messages come in gaps, but not for ever', async () => {
    const gapMs = 1500;
    const gaps = [1, 2, 3].map((i) => i * gapMs);
    assert.ok(within(await goneAfterMs(-Infinity, gaps), 3 * gapMs + gapFactor * gapMs));
    const longer = [...gaps, 3 * gapMs + gapFactor * gapMs];
    assert.ok(within(await goneAfterMs(-Infinity, longer), longer[3] + silenceLossyMs));
  });

  it('is gone soon where the last gap is long ago', async () => {
    const steadyMs = Array.from({ length: gapsKept + 1 }, (_, i) => 1500 + i * heartbeatMs);
    assert.ok(within(await goneAfterMs(-Infinity, steadyMs), steadyMs.at(-1)! + silenceMs));
  });
});
