import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cuts, type Cut } from '../../client/cli/lab/cuts.ts';
import { parseLabOptions } from '../../client/cli/lab/options.ts';
import { labText, longestPause } from '../../client/cli/lab/text.ts';

/** Three peers, of which the second and the third hear the first. */
class FakeLab {
  nowMs = 0;
  coordinator: number | null = null;
  readonly done: string[] = [];
  readonly said: string[] = [];
  readonly heard = new Map([
    [2, 10],
    [3, 10],
  ]);
  readonly cuts: Cuts;

  constructor(cuts: Cut[]) {
    this.cuts = new Cuts(cuts, {
      wire: {
        cut: (peer) => void this.done.push(`cut ${peer}`),
        heal: (peer) => void this.done.push(`heal ${peer}`),
      },
      others: (peer) => [1, 2, 3].filter((other) => other !== peer),
      hear: () => Promise.resolve(new Map(this.heard)),
      now: () => this.nowMs,
      say: (message) => void this.said.push(message),
    });
  }

  async look(atMs: number, stepsDone: number): Promise<void> {
    this.nowMs = atMs;
    await this.cuts.look(stepsDone, this.coordinator);
  }
}

describe('cuts of links', () => {
  it('are of whoever coordinates, where nobody else is named', async () => {
    const lab = new FakeLab([{ peer: null, step: 5, seconds: 2 }]);
    await lab.look(0, 5);
    assert.deepEqual(lab.done, [], 'nobody does');
    lab.coordinator = 2;
    await lab.look(100, 6);
    lab.coordinator = 3;
    await lab.look(2_100, 7);
    assert.deepEqual(lab.done, ['cut 2', 'heal 2']);
  });

  it('begin at their step, end after their time, and are over when everybody heard of the peer again', async () => {
    const lab = new FakeLab([{ peer: 1, step: 5, seconds: 2 }]);
    await lab.look(0, 4);
    assert.deepEqual(lab.done, []);
    await lab.look(100, 6);
    await lab.look(2000, 7);
    assert.deepEqual(lab.done, ['cut 1']);
    await lab.look(2100, 8);
    assert.deepEqual(lab.done, ['cut 1', 'heal 1']);
    // What was heard before the cut does not count, nor does a link that is not there.
    await lab.look(2200, 8);
    lab.heard.set(2, 11);
    lab.heard.delete(3);
    await lab.look(2500, 9);
    await lab.look(2600, 9);
    lab.heard.set(3, 1);
    await lab.look(3000, 9);
    const [record] = lab.cuts.records;
    assert.deepEqual([record.cutAtMs, record.cutAtStep, record.healedAtMs], [100, 6, 2100]);
    assert.deepEqual([...record.heardAgainMs], [[2, 2500]]);
    lab.heard.set(3, 12);
    await lab.look(3300, 9);
    assert.deepEqual(
      [...record.heardAgainMs],
      [
        [2, 2500],
        [3, 3300],
      ],
    );
    assert.deepEqual(lab.done, ['cut 1', 'heal 1']);
    assert.deepEqual(lab.said, [
      'The link of peer 1 is cut for 2 s.',
      'The link of peer 1 is healed.',
      'Peer 2 hears peer 1 again, 0.4 s after it was healed.',
      'Peer 3 hears peer 1 again, 1.2 s after it was healed.',
    ]);
  });
});

const step = (number: number, tMs: number) => ({ step: number, loss: 1, accuracy: 0.5, t_ms: tMs });

describe('what the lab says', () => {
  it('is the longest pause, of all or of a stretch', () => {
    const steps = [step(0, 0), step(1, 100), step(2, 900), step(3, 1000), step(4, 1300)];
    assert.deepEqual(longestPause(steps), { ms: 800, afterStep: 1 });
    assert.deepEqual(longestPause(steps, 900, 1100), { ms: 300, afterStep: 3 });
    assert.deepEqual(longestPause(steps, 900, 1000), { ms: 100, afterStep: 2 });
    assert.equal(longestPause([step(0, 0)]), null);
  });

  it('is what the network is like', () => {
    const said = (line: string) => {
      const parsed = parseLabOptions(line.split(' '));
      assert.ok(parsed.ok);
      return labText(parsed.options, 3)[0];
    };
    assert.equal(
      said('--loss 10 --rate 20mbit --latency 25 --latency-jitter 10'),
      'Lab: 4 hosts on 10.213.3.0/24, a relay between them; 10.0% of UDP packets lost; 20 Mbit/s each way; 25 ± 10 ms one way.',
    );
    assert.equal(
      said('--peers 2 --relay-only --loss 10 --loss-burst 4'),
      'Lab: 2 browsers on this machine, a relay between them; 10.0% of UDP packets lost, 4 in a row.',
    );
    assert.match(said('--slow 6'), /no packets lost; each with 1\/6 of this machine's processors\.$/);
  });
});
