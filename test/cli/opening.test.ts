import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Belongings, Interrupted } from '../../client/cli/belongings.ts';
import { inParallel, pause, TimeoutError, within } from '../../client/cli/wait.ts';

describe('belongings', () => {
  it('are closed once, the last first, also where one fails to close', async () => {
    const closed: number[] = [];
    const belongings = new Belongings();
    for (const thing of [1, 2, 3]) {
      await belongings.hold(Promise.resolve(thing), () => {
        closed.push(thing);
        return thing === 2 ? Promise.reject(new Error('stuck')) : Promise.resolve();
      });
    }
    await Promise.all([belongings.close(), belongings.close()]);
    assert.deepEqual(closed, [3, 2, 1]);
  });

  it('close what was just opening', async () => {
    const belongings = new Belongings();
    let isClosed = false;
    const held = belongings.hold(
      pause(20).then(() => 'thing'),
      () => Promise.resolve(void (isClosed = true)),
    );
    const refused = assert.rejects(held, Interrupted);
    await belongings.close();
    assert.equal(isClosed, true);
    await refused;
  });
});

describe('waiting', () => {
  it('ends with the message after the time', async () => {
    await assert.rejects(
      within(new Promise(() => undefined), 10, 'too late'),
      (error) => error instanceof TimeoutError && error.message === 'too late',
    );
    assert.equal(await within(Promise.resolve(1), 1000, ''), 1);
  });

  it('works on a few at a time, in order, and stops at a failure', async () => {
    let atOnce = 0;
    let most = 0;
    const double = async (item: number) => {
      most = Math.max(most, ++atOnce);
      await pause(2);
      atOnce--;
      return 2 * item;
    };
    assert.deepEqual(await inParallel([1, 2, 3, 4, 5], 2, double), [2, 4, 6, 8, 10]);
    assert.equal(most, 2);
    const begun: number[] = [];
    const failing = inParallel([1, 2, 3, 4], 1, (item) => {
      begun.push(item);
      return item === 2 ? Promise.reject(new Error('two')) : Promise.resolve();
    });
    await assert.rejects(failing, /two/);
    assert.deepEqual(begun, [1, 2]);
  });
});
