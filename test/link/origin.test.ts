import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HttpOrigin } from '../../client/link/origin.ts';
import { FakeClock } from './fake-clock.ts';

describe('a data set file that the server does not have', () => {
  const read = (answer: Response) =>
    new HttpOrigin({ clock: new FakeClock(), base: '/data/', fetch: () => Promise.resolve(answer) }).read(
      'fashion/test-labels',
      0,
      8,
    );
  const general = /^The server has no data set file fashion\/test-labels\. Check the name/;

  it('is explained in the words of the server', async () => {
    const type = { 'content-type': 'text/plain; charset=utf-8' };
    const said = 'The task fashion needs a package.';
    await assert.rejects(read(new Response(`${said}\n`, { status: 404, headers: type })), { message: said });
    await assert.rejects(read(new Response('', { status: 404, headers: type })), { message: general });
    await assert.rejects(read(new Response('x'.repeat(1e6), { status: 404, headers: type })), {
      message: /^x{200}$/,
    });
  });

  it('is explained in general where the server answers with a page', async () => {
    const answer = new Response('<h1>Not found</h1>', {
      status: 404,
      headers: { 'content-type': 'text/html' },
    });
    await assert.rejects(read(answer), { message: general });
  });
});

describe('a range of a data set file', () => {
  it('comes from the server itself: caches of browsers have given less than was asked for', async () => {
    const asked: RequestInit[] = [];
    const origin = new HttpOrigin({
      clock: new FakeClock(),
      fetch: (_url, how) => {
        asked.push(how!);
        return Promise.resolve(new Response(new Uint8Array(8), { status: 206 }));
      },
    });
    assert.equal((await origin.read('mnist/test-labels', 8, 16)).length, 8);
    assert.deepEqual(asked[0].headers, { Range: 'bytes=8-15' });
    assert.equal(asked[0].cache, 'no-store');
  });
});
