import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { chunksToKeep, ChunkStore, homesOf, type ChunkName, type Homes } from '../../data/chunks.ts';
import type { Task } from '../../data/tasks.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Origin, Storage } from '../../ports/storage.ts';

export interface RoomDataContext {
  self: PeerId;
  storage: Storage;
  origin: Origin;
  alive(): PeerId[];
  fetchChunk(peer: PeerId, name: ChunkName): Promise<Uint8Array>;
  /** What the link to a peer carries, in bytes per second; Infinity where that is not known. */
  goodput?(peer: PeerId): number;
  clock?: Clock;
}

/** This peer's share in keeping the data set for the room: once everybody holds theirs, the server is not needed. */
export class RoomData {
  readonly chunks: ChunkStore;
  #homes: Homes = { readers: [], others: [] };

  constructor(
    readonly task: Task,
    private readonly context: RoomDataContext,
  ) {
    this.chunks = new ChunkStore(
      task,
      context.storage,
      context.origin,
      (peer, name) => context.fetchChunk(peer, name),
      (name) => this.#askOrder(name),
      (peer, bytes) => bytes / (context.goodput?.(peer) ?? Infinity) < LIMITS.data.peerPatienceMs / 1000,
      (ms) => new Promise((resolve) => void context.clock?.after(ms, resolve)),
    );
  }

  /** Fetches the chunks that this peer keeps among `homes`; stops early where `current` says that it is overtaken. */
  async keep(homes: Homes, onShare: (share: number) => void, current: () => boolean): Promise<void> {
    this.#homes = homes;
    const names = chunksToKeep(this.task, homes, this.context.self);
    let next = 0;
    let done = 0;
    const fetchInTurn = async () => {
      while (next < names.length && current()) {
        await this.chunks.keep(names[next++]);
        done++;
        if (done % Math.ceil(names.length / 20) === 0) onShare(done / names.length);
      }
    };
    await Promise.all(Array.from({ length: LIMITS.data.fetchesAtOnce }, fetchInTurn));
  }

  #askOrder({ chunk }: ChunkName): PeerId[] {
    const { self } = this.context;
    const alive = this.context.alive().filter((peer) => peer !== self);
    const homes = homesOf(chunk, this.#homes).filter((peer) => alive.includes(peer));
    return [...homes, ...alive.filter((peer) => !homes.includes(peer))];
  }
}
