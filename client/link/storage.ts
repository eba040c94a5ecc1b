import { openDB, type IDBPDatabase } from 'idb';
import { LIMITS } from '../../shared/limits.ts';
import type { Clock } from '../ports/clock.ts';
import type { Storage } from '../ports/storage.ts';

const STORE = 'bytes';

/** Bytes in memory up to a bound; what was written longest ago goes first. */
export class MemoryStorage implements Storage {
  readonly #values = new Map<string, Uint8Array>();
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number = LIMITS.link.memoryStoreBytes) {
    this.#maxBytes = maxBytes;
  }

  get(key: string): Promise<Uint8Array | undefined> {
    return Promise.resolve(this.#values.get(key)?.slice());
  }

  set(key: string, bytes: Uint8Array): Promise<void> {
    this.delete(key);
    if (bytes.length > this.#maxBytes) return Promise.resolve();
    this.#values.set(key, bytes.slice());
    this.#bytes += bytes.length;
    for (const oldest of this.#values.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.delete(oldest);
    }
    return Promise.resolve();
  }

  delete(key: string): void {
    this.#bytes -= this.#values.get(key)?.length ?? 0;
    this.#values.delete(key);
  }
}

/** IndexedDB, and memory where that is missing, full or stuck (private windows). */
export class BrowserStorage implements Storage {
  readonly #memory = new MemoryStorage();
  readonly #database: Promise<IDBPDatabase | null>;
  readonly #clock: Clock;
  #note = '';

  constructor(clock: Clock, name = 'edgepipe') {
    this.#clock = clock;
    this.#database = this.#open(name);
  }

  /** Why values are not kept between visits, for people; empty where they are. */
  get note(): string {
    return this.#note;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const recent = await this.#memory.get(key);
    if (recent) return recent;
    return this.#try(async (database) => {
      const value: unknown = await database.get(STORE, key);
      return value instanceof Uint8Array ? value : undefined;
    });
  }

  async set(key: string, bytes: Uint8Array): Promise<void> {
    const kept = await this.#try(async (database) => {
      await database.put(STORE, bytes, key);
      return true;
    });
    if (kept) this.#memory.delete(key);
    else await this.#memory.set(key, bytes);
  }

  async close(): Promise<void> {
    (await this.#database)?.close();
  }

  async #open(name: string): Promise<IDBPDatabase | null> {
    try {
      const opening = openDB(name, 1, {
        upgrade: (database) => void database.createObjectStore(STORE),
        // Another tab with a newer page must not wait for this one.
        blocking: (_old, _new, event) => (event.target as IDBDatabase).close(),
      });
      return await this.#within(opening);
    } catch (error) {
      this.#note = `this browser keeps nothing between visits (${describe(error)}): a private window, or storage is switched off`;
      return null;
    }
  }

  async #try<T>(action: (database: IDBPDatabase) => Promise<T>): Promise<T | undefined> {
    const database = await this.#database;
    if (!database) return undefined;
    try {
      return await this.#within(action(database));
    } catch (error) {
      this.#note = `this browser could not store data (${describe(error)}): free some space on this device`;
      return undefined;
    }
  }

  #within<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const cancel = this.#clock.after(LIMITS.link.storageTimeoutMs, () => reject(new Error('no answer')));
      work.then(resolve, reject).finally(cancel);
    });
  }
}

const describe = (error: unknown): string =>
  error instanceof Error ? error.message || error.name : String(error);
