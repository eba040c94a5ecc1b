import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Inbox } from '../../client/pipeline/inbox.ts';
import { Patience } from '../../client/pipeline/patience.ts';
import type { PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';

const { absentFirstMs, absentMostMs, behindLeastMs, behindMostMs, lateParts, lossWorthCopies } =
  LIMITS.pipeline;

/** Parts of one frame each, one micro-batch a step; of the first lane unless said otherwise. */
function link(
  options: { patience?: Patience; capMs?: number; lanes?: string[]; window?: () => [number, number] } = {},
) {
  const { patience, capMs = 60_000, lanes = ['a'], window = () => [0, 1_000] } = options;
  let nowMs = 0;
  const own = patience ?? new Patience('deadline', 4, capMs, () => nowMs);
  const inbox = new Inbox({
    kind: 'forward',
    format: 'float32',
    boundary: {
      index: 0,
      shape: { shape: [2], units: 2, outer: 1, inner: 1, space: 0 },
      held: [0, 2],
      ends: lanes.map((peer, lane) => ({ peer, lane, range: [0, 2] })),
    },
    rows: () => 1,
    micros: 1,
    window,
    patience: own,
  });
  const frameOf = (step: number, lane: number, attempt: number): PartFrame => ({
    kind: 'forward',
    term: 1,
    version: 1,
    planTag: 1,
    step,
    micro: 0,
    boundary: 0,
    lane,
    rows: 1,
    columns: 2,
    offset: 0,
    count: 2,
    format: 'float32',
    ...(attempt > 0 && { attempt }),
    payload: new Uint8Array(Float32Array.of(1, 2).buffer),
  });
  return {
    inbox,
    come: (step: number, { lane = 0, attempt = 0 } = {}) =>
      assert.equal(inbox.add(lanes[lane], frameOf(step, lane, attempt)), null),
    comeOwn: (step: number, lane: number) => inbox.addOwn(step, 0, lane, new Float32Array(2)),
    pass: (ms: number) => (nowMs += ms),
    waitMs: (step: number) => inbox.dueMs(step, 0) - nowMs,
    isAbsent: (peer: string) => own.isAbsent(peer),
    /** Waits for a part as long as it may take, and goes on. */
    giveUp: (step: number) => {
      nowMs = Math.max(nowMs, inbox.dueMs(step, 0));
      inbox.take(step, 0);
    },
    share: () => own.lossOf('a').share,
    gone: () => own.lossOf('a').gone,
  };
}

describe('a part that comes after it was given up', () => {
  it('was not lost if nothing that its sender sent later came before it: the sender was slow', () => {
    const { come, giveUp, share } = link();
    giveUp(0);
    assert.ok(share() > lossWorthCopies, 'as far as one can tell by then');
    come(0);
    assert.equal(share(), 0);
  });

  it('was lost on its way if something passed it, and a copy is no first copy', () => {
    const { inbox, come, giveUp, share, gone } = link();
    come(1);
    giveUp(0);
    const afterLossShare = share();
    assert.ok(afterLossShare > lossWorthCopies);
    assert.equal(gone(), afterLossShare);
    come(0);
    assert.equal(share(), afterLossShare);
    assert.equal(gone(), 0, 'only late');
    inbox.take(1, 0);
    giveUp(2);
    const twiceShare = share();
    come(2, { attempt: 1 });
    assert.equal(share(), twiceShare);
  });

  it('takes its loss back as long as it may come, and no longer', () => {
    const { come, giveUp, share } = link();
    giveUp(0);
    for (let step = 1; step <= lateParts; step++) giveUp(step);
    const lastShare = share();
    come(0);
    assert.equal(share(), lastShare, 'too late');
    come(1);
    assert.ok(share() < lastShare, 'in time');
  });
});

describe('a lane without a sign', () => {
  /** Of one that took so long for its steps, on a link that loses that share. */
  function leastMs(stepMs: number, lostShare: number): number {
    let nowMs = 0;
    const patience = new Patience('deadline', 4, 2_000, () => nowMs);
    for (let step = 0; step < 100; step++) {
      nowMs += stepMs;
      patience.beginStep();
    }
    for (let part = 0; part < 100; part++) patience.lossOf('a').add(100, 100 - 100 * lostShare);
    return patience.behindLeastMs('a');
  }

  it('has time where its link loses nothing, and half a step where it loses parts, within bounds', () => {
    assert.equal(leastMs(300, 0), behindMostMs);
    assert.ok(Math.abs(leastMs(300, 0.1) - 150) < 1);
    assert.equal(leastMs(20, 0.1), behindLeastMs);
    assert.equal(leastMs(5_000, 0.1), behindMostMs);
  });

  it('is not waited for where another lane is beyond what this block takes: this block is late', () => {
    let step = 0;
    const { inbox, come, giveUp } = link({ lanes: ['a', 'b'], window: () => [step, step + 1] });
    assert.ok(inbox.dueMs(0, 0) > 0, 'in silence it waits');
    come(9);
    // Of these the signs are in the window.
    for (; step < 2; step++) giveUp(step);
    for (; step <= 9; step++) {
      assert.equal(inbox.dueMs(step, 0), -Infinity, `step ${step}`);
      inbox.take(step, 0);
    }
    assert.ok(inbox.dueMs(step, 0) > 0, 'in silence again');
  });

  it('is waited for as long as that', () => {
    const waitMs = (lostShare: number): number => {
      const nowMs = 0;
      const patience = new Patience('deadline', 4, 60_000, () => nowMs);
      const { inbox, come } = link({ patience, lanes: ['a', 'b'] });
      // Steps that take no time, and lanes that come at once.
      for (let step = 0; step < 100; step++) patience.beginStep();
      for (let step = 0; step < 4; step++) {
        come(step);
        come(step, { lane: 1 });
        inbox.take(step, 0);
      }
      for (let part = 0; part < 100; part++) patience.lossOf('b').add(100, 100 - 100 * lostShare);
      come(4);
      return inbox.dueMs(4, 0) - nowMs;
    };
    assert.ok(waitMs(0) >= behindMostMs, `${waitMs(0)} ms`);
    assert.ok(waitMs(0.1) >= behindLeastMs && waitMs(0.1) < behindMostMs, `${waitMs(0.1)} ms`);
  });
});

describe('a lane that let its deadline pass without a sign', () => {
  it('is absent until it has caught up', () => {
    const { come, giveUp, waitMs, isAbsent } = link({ lanes: ['a', 'b'] });
    come(0);
    giveUp(0);
    assert.ok(isAbsent('b'));
    come(1);
    assert.equal(waitMs(1), -Infinity);
    giveUp(1);
    come(1, { lane: 1 });
    assert.ok(!isAbsent('b'));
    come(2);
    assert.ok(waitMs(2) > 0);
  });

  it('is not absent where the cap of the step cut its time short', () => {
    const { come, giveUp, waitMs, isAbsent } = link({ lanes: ['a', 'b'], capMs: 50 });
    come(0);
    assert.equal(waitMs(0), 50);
    giveUp(0);
    come(1);
    assert.ok(waitMs(1) <= 0, 'the cap is used up');
    giveUp(1);
    assert.ok(!isAbsent('b'));
  });

  it('is waited for now and then by whoever is ahead of everybody, and by nobody else', () => {
    const { come, comeOwn, giveUp, pass, waitMs, isAbsent } = link({ lanes: ['self', 'b', 'c'] });
    let step = 0;
    const next = (): number => {
      comeOwn(++step, 0);
      return waitMs(step);
    };
    comeOwn(0, 0);
    giveUp(0);
    assert.ok(isAbsent('b') && isAbsent('c'));
    for (let restMs = absentFirstMs; restMs <= 2 * absentMostMs; restMs *= 2) {
      pass(Math.min(restMs, absentMostMs) - 1);
      assert.equal(next(), -Infinity, `after less than ${restMs} ms`);
      giveUp(step);
      pass(1);
      assert.ok(next() >= behindMostMs, `after ${restMs} ms`);
      giveUp(step);
    }
    pass(absentMostMs);
    assert.ok(next() > 0);
    come(step, { lane: 2 });
    assert.equal(waitMs(step), -Infinity, 'c has got as far: b is behind alone');
  });
});
