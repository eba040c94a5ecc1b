import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { missingData } from '../../client/app/missing-data.ts';

describe('whether the server has the data of a task', () => {
  const asked: string[] = [];
  const answering = (answer: Response | Error) => (path: RequestInfo | URL) => {
    asked.push(path as string);
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
  };

  it('is told in its own words where it has not', async () => {
    const said = 'The task fashion needs a package.';
    assert.equal(await missingData('fashion', answering(new Response(`${said}\n`, { status: 404 }))), said);
    assert.equal(
      await missingData('fashion', answering(new Response('', { status: 404 }))),
      'The server has no data for the task fashion.',
    );
    assert.deepEqual(asked, ['/data/fashion/test-labels', '/data/fashion/test-labels']);
  });

  it('does not keep a run from starting where it has, or cannot be asked', async () => {
    assert.equal(await missingData('fashion', answering(new Response('12345678', { status: 206 }))), null);
    assert.equal(await missingData('fashion', answering(new TypeError('no network'))), null);
    assert.equal(await missingData('mnist', answering(new Response('', { status: 404 }))), null);
  });
});
