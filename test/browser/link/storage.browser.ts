import { assert } from '@open-wc/testing';
import { deleteDB } from 'idb';
import { browserClock } from '../../../client/link/clock.ts';
import { BrowserStorage } from '../../../client/link/storage.ts';
import { pattern, same } from './meshes.ts';

describe('storage', () => {
  const name = 'edgepipe-test';
  const factory = Object.getOwnPropertyDescriptor(window, 'indexedDB');
  let storage: BrowserStorage;

  const withFactory = (value: unknown): void => {
    Object.defineProperty(window, 'indexedDB', { configurable: true, value });
  };

  afterEach(async () => {
    await storage.close();
    if (factory) Object.defineProperty(window, 'indexedDB', factory);
    await deleteDB(name);
  });

  it('finds values again on the next visit, and nothing where nothing was kept', async () => {
    storage = new BrowserStorage(browserClock, name);
    const bytes = pattern(300_000, 3);
    await storage.set('a', bytes.subarray(1000, 200_000));
    await storage.set('b', pattern(10, 1));
    await storage.set('b', pattern(20, 2));
    await storage.close();
    storage = new BrowserStorage(browserClock, name);
    assert.isTrue(same((await storage.get('a'))!, bytes.subarray(1000, 200_000)));
    assert.isTrue(same((await storage.get('b'))!, pattern(20, 2)));
    assert.equal(await storage.get('c'), undefined);
    assert.equal(storage.note, '');
  });

  it('falls back to memory where there is no IndexedDB, and says so', async () => {
    withFactory(undefined);
    storage = new BrowserStorage(browserClock, name);
    await storage.set('a', pattern(10, 1));
    assert.isTrue(same((await storage.get('a'))!, pattern(10, 1)));
    assert.include(storage.note, 'private window');
  });

  it('keeps a value in memory where the disk is full, until it can be written', async () => {
    storage = new BrowserStorage(browserClock, name);
    await storage.set('a', pattern(10, 1));
    const put = Reflect.get(IDBObjectStore.prototype, 'put') as (value: unknown) => IDBRequest<IDBValidKey>;
    IDBObjectStore.prototype.put = () => {
      throw new DOMException('full', 'QuotaExceededError');
    };
    try {
      await storage.set('a', pattern(12, 2));
    } finally {
      IDBObjectStore.prototype.put = put;
    }
    assert.isTrue(same((await storage.get('a'))!, pattern(12, 2)));
    assert.include(storage.note, 'free some space');
    await storage.set('a', pattern(14, 3));
    assert.isTrue(same((await storage.get('a'))!, pattern(14, 3)));
    await storage.close();
    storage = new BrowserStorage(browserClock, name);
    assert.isTrue(same((await storage.get('a'))!, pattern(14, 3)));
  });
});
