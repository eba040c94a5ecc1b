import { assert } from '@open-wc/testing';
import { browserClock } from '../../../client/link/clock.ts';
import { HttpOrigin } from '../../../client/link/origin.ts';

describe('origin', () => {
  const origin = new HttpOrigin({ clock: browserClock, base: '/range-fixture/', timeoutMs: 500 });
  const failure = (reading: Promise<unknown>): Promise<string> =>
    reading.then(
      () => 'no error',
      (error: unknown) => (error as Error).message,
    );

  it('reads exactly the bytes asked for', async () => {
    const bytes = await origin.read('good', 100, 400);
    assert.deepEqual(
      [...bytes],
      Array.from({ length: 300 }, (_, i) => (i + 100) % 251),
    );
  });

  it('says what went wrong and what to do', async () => {
    assert.include(await failure(origin.read('missing', 0, 10)), 'no data set file missing');
    assert.include(await failure(origin.read('whole', 0, 10)), 'answered 200 instead of a part');
    assert.include(await failure(origin.read('short', 0, 10)), 'sent 5 bytes of short where 10');
    assert.include(await failure(origin.read('slow', 0, 5)), 'took longer than 1 s');
    assert.include(await failure(origin.read('../secret', 0, 5)), 'no name of a data set file');
    assert.include(await failure(origin.read('good', 5, 5)), 'no range');
    assert.include(await failure(origin.read('good', 0, 1e9)), 'too many for one request');
    const nowhere = new HttpOrigin({ clock: browserClock, base: 'http://localhost:9/' });
    assert.include(await failure(nowhere.read('good', 0, 5)), 'could not be reached');
  });
});
