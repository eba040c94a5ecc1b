import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { BLOB_FRAME_BYTES, encodeFrame, type BlobFrame } from '../../../shared/frames.ts';
import type { BlobName, Control, ControlOf } from '../../../shared/schema/control.ts';
import type { Cancel, Clock } from '../../ports/clock.ts';
import type { Transport } from '../../ports/transport.ts';

interface Wanted {
  peer: PeerId;
  bytes: Uint8Array | null;
  offsets: Set<number>;
  resolve(bytes: Uint8Array): void;
  reject(error: Error): void;
  cancel: Cancel;
}

/** Moves larger things (data chunks, layers) from peer to peer: asked for by name, sent in frames, within a time limit. */
export class Blobs {
  readonly #wanted = new Map<number, Wanted>();
  #serving = 0;
  #lastId = 0;

  constructor(
    private readonly clock: Clock,
    private readonly transport: Transport,
    private readonly send: (to: PeerId, message: Control) => boolean,
    /** What this peer has under that name. */
    private readonly find: (name: BlobName) => Promise<Uint8Array | undefined>,
  ) {}

  /** Asks `peer` for a blob. Rejects with a message when it has none, goes away, or takes too long without a frame. */
  fetch(peer: PeerId, blob: BlobName): Promise<Uint8Array> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const wanted: Wanted = {
        peer,
        bytes: null,
        offsets: new Set(),
        resolve,
        reject,
        cancel: () => undefined,
      };
      this.#wanted.set(id, wanted);
      this.#restartTimer(id, wanted);
      if (!this.send(peer, { type: 'blob-request', id, blob }))
        this.#fail(id, 'there is no link to that peer');
    });
  }

  async serve(peer: PeerId, { id, blob }: ControlOf<'blob-request'>): Promise<void> {
    if (this.#serving >= LIMITS.data.blobsAtOnce * LIMITS.room.peers) {
      this.send(peer, { type: 'blob-refused', id, message: 'too many requests at once' });
      return;
    }
    this.#serving++;
    try {
      const bytes = await this.find(blob).catch(() => undefined);
      if (bytes) await this.#sendFrames(peer, id, bytes);
      else this.send(peer, { type: 'blob-refused', id, message: 'not held here' });
    } finally {
      this.#serving--;
    }
  }

  refused(peer: PeerId, { id, message }: ControlOf<'blob-refused'>): void {
    if (this.#wanted.get(id)?.peer === peer) this.#fail(id, message);
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(peer: PeerId, frame: BlobFrame): string | null {
    const wanted = this.#wanted.get(frame.id);
    if (wanted?.peer !== peer) return 'blob-not-asked-for';
    wanted.bytes ??= new Uint8Array(frame.total);
    if (wanted.bytes.length !== frame.total) return 'blob-changes-size';
    const whole = frame.payload.length === Math.min(BLOB_FRAME_BYTES, frame.total - frame.offset);
    if (frame.offset % BLOB_FRAME_BYTES !== 0 || !whole) return 'blob-wrong-frame';
    wanted.bytes.set(frame.payload, frame.offset);
    wanted.offsets.add(frame.offset);
    this.#restartTimer(frame.id, wanted);
    if (wanted.offsets.size === Math.max(1, Math.ceil(frame.total / BLOB_FRAME_BYTES))) {
      this.#end(frame.id);
      wanted.resolve(wanted.bytes);
    }
    return null;
  }

  forget(peer: PeerId): void {
    for (const [id, wanted] of this.#wanted) if (wanted.peer === peer) this.#fail(id, 'that peer is gone');
  }

  close(): void {
    for (const id of [...this.#wanted.keys()]) this.#fail(id, 'this peer left the room');
  }

  async #sendFrames(peer: PeerId, id: number, bytes: Uint8Array): Promise<void> {
    for (let offset = 0; offset === 0 || offset < bytes.length; offset += BLOB_FRAME_BYTES) {
      const payload = bytes.subarray(offset, offset + BLOB_FRAME_BYTES);
      const frame: BlobFrame = { kind: 'blob', id, offset, total: bytes.length, payload };
      // Parts of a training step share this queue: blobs only go on while it is short.
      do {
        if (!(await this.transport.whenWritable(peer))) return;
      } while (!this.transport.send(peer, 'data', encodeFrame(frame)));
    }
  }

  #restartTimer(id: number, wanted: Wanted): void {
    wanted.cancel();
    wanted.cancel = this.clock.after(LIMITS.data.blobTimeoutMs, () => this.#fail(id, 'nothing came in time'));
  }

  #fail(id: number, message: string): void {
    const wanted = this.#end(id);
    wanted?.reject(new Error(`Could not fetch from ${wanted.peer}: ${message}.`));
  }

  #end(id: number): Wanted | undefined {
    const wanted = this.#wanted.get(id);
    wanted?.cancel();
    this.#wanted.delete(id);
    return wanted;
  }
}
