import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStorage } from '../../client/link/storage.ts';

test('memory storage keeps the newest up to its bound, and copies', async () => {
  const storage = new MemoryStorage(100);
  const bytes = new Uint8Array(40).fill(1);
  await storage.set('a', bytes);
  await storage.set('b', bytes);
  bytes.fill(9);
  assert.equal((await storage.get('a'))?.[0], 1);
  await storage.set('a', new Uint8Array(41));
  await storage.set('c', new Uint8Array(40));
  assert.equal(await storage.get('b'), undefined);
  assert.equal((await storage.get('a'))?.length, 41);
  await storage.set('d', new Uint8Array(101));
  assert.equal(await storage.get('d'), undefined);
  assert.equal((await storage.get('c'))?.length, 40);
});
