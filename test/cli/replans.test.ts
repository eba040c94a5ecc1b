import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Replans } from '../../client/cli/replans.ts';

describe('planning anew at certain steps', () => {
  /** A room that refuses as often as is said. */
  function asked(steps: readonly number[], refusals = 0) {
    const calls: number[] = [];
    let stepsDone = 0;
    const replans = new Replans(steps, () => {
      calls.push(stepsDone);
      return Promise.resolve(calls.length <= refusals ? 'No new plan now.' : null);
    });
    const look = (done: number, phase: 'training' | 'paused' | 'finished' = 'training') => {
      stepsDone = done;
      return replans.look({ phase, stepsDone });
    };
    return { calls, replans, look };
  }

  it('asks once when a step is reached, and once for several that were passed', async () => {
    const { calls, replans, look } = asked([10, 20, 25, 90]);
    for (const done of [0, 9, 10, 11, 30, 31]) await look(done);
    assert.deepEqual(calls, [10, 30]);
    await look(60, 'finished');
    assert.deepEqual(replans.due, [90], 'the run was over before');
  });

  it('waits while the room mends, and asks again after a refusal', async () => {
    const { calls, replans, look } = asked([10], 1);
    await look(12, 'paused');
    assert.deepEqual(calls, []);
    await look(12);
    assert.deepEqual(replans.due, [10]);
    await look(13);
    assert.deepEqual(calls, [12, 13]);
    assert.deepEqual(replans.due, []);
  });
});
