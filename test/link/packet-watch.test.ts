import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacketWatch } from '../../client/link/packet-watch.ts';
import { VirtualTime } from '../simulation/virtual-clock.ts';

const EVERY_MS = 400;

/** A connection over which packets of 100 bytes come at those times; `tells` when the last one came, by a clock of its own. */
function watched(comeAtMs: readonly number[], tells: boolean) {
  const time = new VirtualTime();
  const clock = time.clockFor(
    () => true,
    () => 0,
  );
  const getStats = (): Promise<RTCStatsReport> => {
    const come = comeAtMs.filter((ms) => ms <= time.nowMs);
    const timestamp = 1e12 + time.nowMs;
    const last = tells && come.length > 0 ? { lastPacketReceivedTimestamp: 1e12 + come.at(-1)! } : {};
    const entries = [
      { type: 'transport', timestamp, bytesReceived: 100 * come.length },
      { type: 'candidate-pair', timestamp, bytesReceived: 100 * come.length, ...last },
    ];
    return Promise.resolve(new Map(entries.map((entry) => [entry.type, entry])) as unknown as RTCStatsReport);
  };
  const watch = new PacketWatch({ getStats }, clock, EVERY_MS);
  return { watch, until: (ms: number) => time.runUntil(() => false, ms - time.nowMs) };
}

describe('what comes over a connection', () => {
  it('is known to when it came where the browser says so, otherwise to the look that found it', async () => {
    for (const tells of [true, false]) {
      const { watch, until } = watched([100, 900, 1_050, 2_900], tells);
      assert.equal(watch.heardAtMs, -Infinity);
      await until(1_300);
      assert.equal(watch.heardAtMs, tells ? 1_050 : 1_200);
      await until(2_700);
      assert.equal(watch.heardAtMs, tells ? 1_050 : 1_200, 'nothing since');
      await until(3_300);
      assert.equal(watch.heardAtMs, tells ? 2_900 : 3_200);
      watch.stop();
    }
  });
});
