import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Line, Shaper, type LineTraits } from '../../client/cli/lab/line.ts';
import { LIMITS } from '../../shared/limits.ts';

const PERFECT: LineTraits = { loss: 0, burst: null, latencyMs: 0, jitterMs: 0 };

function fates(traits: Partial<LineTraits>, seed: number, [from, to] = [1, 2], packets = 20_000): boolean[] {
  const line = new Line({ ...PERFECT, ...traits }, seed, from, to);
  return Array.from({ length: packets }, () => line.loses());
}

const shareOf = (lost: readonly boolean[]) => lost.filter((one) => one).length / lost.length;

function meanBurst(lost: readonly boolean[]): number {
  const begins = lost.filter((one, i) => one && !lost[i - 1]).length;
  return lost.filter((one) => one).length / begins;
}

describe('a line of the relay', () => {
  it('loses the wanted share, each packet for itself', () => {
    const lost = fates({ loss: 0.1 }, 1);
    assert.ok(Math.abs(shareOf(lost) - 0.1) < 0.01, String(shareOf(lost)));
    assert.ok(Math.abs(meanBurst(lost) - 1 / 0.9) < 0.05, String(meanBurst(lost)));
    assert.equal(shareOf(fates({}, 1)), 0);
    assert.equal(shareOf(fates({ loss: 1 }, 1)), 1);
  });

  it('loses the same share in rows of the wanted length', () => {
    const lost = fates({ loss: 0.2, burst: 8 }, 1);
    assert.ok(Math.abs(shareOf(lost) - 0.2) < 0.03, String(shareOf(lost)));
    assert.ok(Math.abs(meanBurst(lost) - 8) < 1, String(meanBurst(lost)));
  });

  it('loses the same packets for the same seed, and others for another or the other direction', () => {
    const lost = fates({ loss: 0.3 }, 5);
    assert.deepEqual(fates({ loss: 0.3 }, 5), lost);
    assert.notDeepEqual(fates({ loss: 0.3 }, 6), lost);
    assert.notDeepEqual(fates({ loss: 0.3 }, 5, [2, 1]), lost);
  });

  it('delivers in order, after the latency and what it varies by', () => {
    const line = new Line({ ...PERFECT, latencyMs: 25, jitterMs: 10 }, 1, 1, 2);
    const delays: number[] = [];
    let last = 0;
    for (let atMs = 0; atMs < 20_000; atMs += 7) {
      const arrival = line.arrivesAt(atMs);
      assert.ok(arrival >= last, `${arrival} after ${last}`);
      last = arrival;
      delays.push(arrival - atMs);
    }
    const [least, most] = [Math.min(...delays), Math.max(...delays)];
    assert.ok(least >= 15 && least < 17 && most > 33 && most <= 35, `${least} to ${most}`);
    const mean = delays.reduce((sum, delay) => sum + delay) / delays.length;
    assert.ok(Math.abs(mean - 25) < 2.5, String(mean));
  });
});

describe('a limited rate', () => {
  it('lets one packet through after the other', () => {
    const shaper = new Shaper(100_000);
    assert.deepEqual(
      [0, 0, 5].map((atMs) => shaper.leavesAt(1000, atMs)),
      [10, 20, 30],
    );
    assert.equal(shaper.leavesAt(1000, 1000), 1010);
  });

  it('loses what would wait too long', () => {
    const shaper = new Shaper(100_000);
    const left = Array.from({ length: 50 }, () => shaper.leavesAt(1000, 0));
    assert.equal(left.filter((atMs) => atMs !== null).length, LIMITS.lab.queueMs / 10 + 1);
  });
});
