import { LIMITS } from '../../shared/limits.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { Origin, Storage } from '../ports/storage.ts';
import type { DataFile, DataPart, Task } from './tasks.ts';

/** One chunk of one file: LIMITS.data.chunkSamples items (the last one may be shorter), headers cut off. */
export interface ChunkName {
  file: string;
  chunk: number;
}

/** Asks another peer for a chunk; rejects where it has none or is gone. */
export type FetchFromPeer = (peer: PeerId, name: ChunkName) => Promise<Uint8Array>;

const LATE = Symbol('late');

const keyOf = ({ file, chunk }: ChunkName): string => `chunk/${file}/${chunk}`;

export const chunkCount = (part: DataPart): number => Math.ceil(part.samples / LIMITS.data.chunkSamples);

/**
 * The data set in chunks: read once from the server, kept in this browser's storage, handed from peer to peer.
 * Look-ups go to memory, storage, the peers that keep the chunk, any other peer, and then the server; to it, too, where they take long.
 * Peers whose link is slow come last: training needs that link, and a chunk fills it for long.
 */
export class ChunkStore {
  readonly #memory = new Map<string, Uint8Array>();
  readonly #held = new Set<string>();
  readonly #loading = new Map<string, Promise<Uint8Array>>();
  readonly fetched = { fromServer: 0, fromPeers: 0, fromStorage: 0 };

  constructor(
    private readonly task: Task,
    private readonly storage: Storage,
    private readonly origin: Origin,
    private readonly fetchFromPeer: FetchFromPeer,
    /** Peers to ask, likeliest first. */
    private readonly askOrder: (name: ChunkName) => PeerId[],
    /** Whether so many bytes come from a peer in LIMITS.data.peerPatienceMs, as far as is known. */
    private readonly isQuick: (peer: PeerId, bytes: number) => boolean = () => true,
    private readonly pause: (ms: number) => Promise<void> = () => new Promise(() => undefined),
  ) {}

  /** The bytes of a chunk. Rejects with a message for people when nobody has it. */
  get(name: ChunkName): Promise<Uint8Array> {
    return this.#once(name, true);
  }

  /** The chunk if it is on this device, for handing to others; never asks anybody. */
  async local(name: ChunkName): Promise<Uint8Array | undefined> {
    if (!this.#known(name)) return undefined;
    return this.#memory.get(keyOf(name)) ?? (await this.storage.get(keyOf(name)));
  }

  /** Makes sure the chunk is on this device, from the server rather than from peers: that is how chunks enter a room. */
  async keep(name: ChunkName): Promise<void> {
    if (!this.#held.has(keyOf(name))) await this.#once(name, false);
  }

  #once(name: ChunkName, peersFirst: boolean): Promise<Uint8Array> {
    const key = keyOf(name);
    const inMemory = this.#memory.get(key);
    if (inMemory) {
      this.#remember(key, inMemory);
      return Promise.resolve(inMemory);
    }
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#load(name, peersFirst).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #load(name: ChunkName, peersFirst: boolean): Promise<Uint8Array> {
    const key = keyOf(name);
    const stored = await this.storage.get(key);
    if (stored?.length === this.#expectedBytes(name)) {
      this.fetched.fromStorage++;
      return this.#remember(key, stored);
    }
    const peers = this.askOrder(name);
    const quick = peers.filter((peer) => peersFirst && this.isQuick(peer, this.#expectedBytes(name)));
    const others = peers.filter((peer) => !quick.includes(peer));
    const bytes = await this.#first(
      () => this.#fromPeers(name, quick),
      () => this.#fromServer(name),
    ).catch(async (error: unknown) => {
      const found = await this.#fromPeers(name, others).catch(() => undefined);
      if (!found) throw error;
      return found;
    });
    await this.storage.set(key, bytes);
    return this.#remember(key, bytes);
  }

  /** What peers give, or the server where they have nothing, or take long and it is faster. Rejects with the server's reason. */
  async #first(
    fromPeers: () => Promise<Uint8Array | undefined>,
    fromServer: () => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const given = fromPeers();
    const isLate = this.pause(LIMITS.data.peerPatienceMs).then(() => LATE);
    const inTime = await Promise.race([given, isLate]);
    if (typeof inTime !== 'symbol') return inTime ?? fromServer();
    const late = given.then((bytes) => bytes ?? Promise.reject(new Error('No peer has it.')));
    try {
      return await Promise.any([late, fromServer()]);
    } catch (error) {
      throw (error as AggregateError).errors[1];
    }
  }

  async #fromPeers(name: ChunkName, peers: readonly PeerId[]): Promise<Uint8Array | undefined> {
    for (const peer of peers) {
      const bytes = await this.fetchFromPeer(peer, name).catch(() => undefined);
      if (bytes?.length === this.#expectedBytes(name)) {
        this.fetched.fromPeers++;
        return bytes;
      }
    }
    return undefined;
  }

  async #fromServer(name: ChunkName): Promise<Uint8Array> {
    const { file } = this.#part(name);
    const start = file.headerBytes + name.chunk * LIMITS.data.chunkSamples * file.itemBytes;
    const bytes = await this.origin.read(name.file, start, start + this.#expectedBytes(name));
    if (bytes.length !== this.#expectedBytes(name)) {
      throw new Error(
        `The server sent ${bytes.length} bytes of ${name.file}, not ${this.#expectedBytes(name)}.`,
      );
    }
    this.fetched.fromServer++;
    return bytes;
  }

  #remember(key: string, bytes: Uint8Array): Uint8Array {
    this.#held.add(key);
    this.#memory.delete(key);
    this.#memory.set(key, bytes);
    for (const oldest of this.#memory.keys()) {
      if (this.#memory.size <= LIMITS.data.chunksInMemory) break;
      this.#memory.delete(oldest);
    }
    return bytes;
  }

  #known(name: ChunkName): boolean {
    return this.#parts().some(({ part, file }) => file.file === name.file && name.chunk < chunkCount(part));
  }

  #expectedBytes(name: ChunkName): number {
    const { part, file } = this.#part(name);
    const first = name.chunk * LIMITS.data.chunkSamples;
    return Math.min(LIMITS.data.chunkSamples, part.samples - first) * file.itemBytes;
  }

  #part(name: ChunkName): { part: DataPart; file: DataFile } {
    const found = this.#parts().find(({ file }) => file.file === name.file);
    if (!found) throw new Error(`The task ${this.task.name} has no file ${name.file}.`);
    return found;
  }

  #parts(): { part: DataPart; file: DataFile }[] {
    return [this.task.train, this.task.test].flatMap((part) =>
      [part.sampleFile, part.labelFile].map((file) => ({ part, file })),
    );
  }
}

/** Who keeps samples for the room: those who read them first. */
export interface Homes {
  /** The lanes of the first stage. */
  readers: readonly PeerId[];
  others: readonly PeerId[];
}

/**
 * The chunks that a peer keeps for the room: LIMITS.data.copies copies of every chunk of samples, dealt in turn, to those who read them
 * before others, so that little need go from peer to peer beside the parts; labels are so small that everybody keeps all of them.
 */
export function chunksToKeep(task: Task, homes: Homes, self: PeerId): ChunkName[] {
  return [task.train, task.test].flatMap((part) =>
    Array.from({ length: chunkCount(part) }, (_, chunk) => chunk).flatMap((chunk) => [
      { file: part.labelFile.file, chunk },
      ...(homesOf(chunk, homes).includes(self) ? [{ file: part.sampleFile.file, chunk }] : []),
    ]),
  );
}

/** The peers that keep a chunk of samples. */
export function homesOf(chunk: number, { readers, others }: Homes): PeerId[] {
  const inTurn = (peers: readonly PeerId[], copies: number) =>
    Array.from({ length: Math.min(copies, peers.length) }, (_, copy) => peers[(chunk + copy) % peers.length]);
  const reading = inTurn(readers, LIMITS.data.copies);
  return [...reading, ...inTurn(others, LIMITS.data.copies - reading.length)];
}
