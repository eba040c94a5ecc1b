/** What a queue empties into: a data channel, or a stand-in for one. */
export interface Sink {
  /** Bytes handed over that have not left this device. */
  readonly bufferedAmount: number;
  send(bytes: Uint8Array): void;
}

export interface QueueLimits {
  messageBytes: number;
  queueBytes: number;
  highWaterBytes: number;
}

/** What a waiting message costs beside its bytes, so that a queue of tiny ones is bounded too. */
const OVERHEAD_BYTES = 64;

/** Messages that wait for one data channel, in order and bounded. */
export class OutQueue {
  readonly #limits: QueueLimits;
  #waiting: Uint8Array[] = [];
  #head = 0;
  #bytes = 0;
  /** What is left of the first message, where it goes in pieces. */
  #pieces: Uint8Array[] = [];

  constructor(limits: QueueLimits) {
    this.#limits = limits;
  }

  /** Bytes waiting, overhead included. */
  get bytes(): number {
    return this.#bytes;
  }

  get empty(): boolean {
    return this.#head === this.#waiting.length;
  }

  /** True for a message that this queue takes when it has room. */
  fits(bytes: Uint8Array): boolean {
    return bytes.length > 0 && bytes.length <= this.#limits.messageBytes;
  }

  /** False where the message does not fit or the queue is full: then nothing was queued. */
  push(bytes: Uint8Array, queueBytes = this.#limits.queueBytes): boolean {
    const cost = bytes.length + OVERHEAD_BYTES;
    if (!this.fits(bytes) || this.#bytes + cost > queueBytes) return false;
    this.#waiting.push(bytes);
    this.#bytes += cost;
    return true;
  }

  /**
   * Hands over as much as stays at or below the high-water mark; calls `sent` for each message.
   * @param ways the mark for a message, where it is another one; the pieces that it goes in, where not as it is
   */
  pump(
    sink: Sink,
    sent: (bytes: Uint8Array) => void,
    {
      highWaterBytesOf = () => this.#limits.highWaterBytes,
      split = (bytes) => [bytes],
    }: { highWaterBytesOf?: (bytes: Uint8Array) => number; split?: (bytes: Uint8Array) => Uint8Array[] } = {},
  ): void {
    while (!this.empty) {
      const bytes = this.#waiting[this.#head];
      const highWaterBytes = highWaterBytesOf(bytes);
      const pieces = this.#pieces.length > 0 ? this.#pieces : split(bytes);
      while (pieces.length > 0) {
        if (sink.bufferedAmount + pieces[0].length > highWaterBytes) return;
        sink.send(pieces.shift()!);
        this.#pieces = pieces;
      }
      this.#drop(bytes);
      sent(bytes);
    }
  }

  clear(): void {
    this.#waiting = [];
    this.#pieces = [];
    this.#head = 0;
    this.#bytes = 0;
  }

  #drop(bytes: Uint8Array): void {
    this.#bytes -= bytes.length + OVERHEAD_BYTES;
    this.#head++;
    if (!this.empty && (this.#head < 512 || this.#head * 2 < this.#waiting.length)) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
