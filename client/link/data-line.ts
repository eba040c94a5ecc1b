import type { Clock } from '../ports/clock.ts';
import { Bundler, framesOfBundle, isBundle } from './bundles.ts';
import { DrainRate } from './drain-rate.ts';
import { isPatient } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { LinkLimits } from './link.ts';
import { OutQueue, type Sink } from './out-queue.ts';
import { FrameNumbers, isPiece, PieceJoiner, splitFrame } from './pieces.ts';
import { waterOf, type Water } from './water.ts';

/** A data channel as far as frames go through it. */
export interface DataSink extends Sink {
  bufferedAmountLowThreshold: number;
}

/** Frames that wait for a data channel. How many do, and in what size they leave, follows from what the channel was seen to take. */
export class DataLine {
  readonly #queue: OutQueue;
  readonly #drain = new DrainRate();
  readonly #joiner = new PieceJoiner();
  readonly #numbers = new FrameNumbers();
  #channels: readonly DataSink[] = [];
  /** Of the frame that came last: those before it are mostly of its kind. */
  #isPatient = false;

  constructor(
    private readonly limits: LinkLimits,
    private readonly clock: Clock,
  ) {
    const { frameBytes: messageBytes, queueBytes, highWaterBytes } = limits;
    this.#queue = new OutQueue({ messageBytes, queueBytes, highWaterBytes });
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  /** Little enough waits that more is welcome. */
  get isShort(): boolean {
    return this.#queue.bytes <= this.#water.shortBytes;
  }

  fits(frame: Uint8Array): boolean {
    return this.#queue.fits(frame);
  }

  /** False where the frame does not fit or too much waits: then nothing was queued. */
  push(frame: Uint8Array): boolean {
    this.#isPatient = isPatient(frame);
    return this.#queue.push(frame, this.#isPatient ? this.limits.queueBytes : this.#water.queueBytes);
  }

  /** How fast the channels take data together, as far as is known; Infinity before that. */
  get bytesPerSecond(): number {
    return this.#drain.bytesPerSecond;
  }

  /** @param channels one or more, that frames may go through, each through whichever has the least before it */
  pump(channels: readonly DataSink[], sent: (frame: Uint8Array) => void): void {
    const before = bufferedIn(channels);
    const isOther =
      channels.length !== this.#channels.length ||
      channels.some((channel, i) => channel !== this.#channels[i]);
    if (isOther) this.#drain.restart();
    else this.#drain.look(before, this.clock.now());
    this.#channels = channels;
    const { highWaterBytes, thresholdBytes, messages } = this.#water;
    const patientBytes = Math.max(highWaterBytes, this.limits.patientBufferedBytes);
    const threshold = this.#isPatient ? Math.max(thresholdBytes, patientBytes / 2) : thresholdBytes;
    for (const channel of channels) channel.bufferedAmountLowThreshold = threshold;
    const sink = leastOf(channels);
    const bundler = new Bundler(sink);
    this.#queue.pump(messages === 'bundles' ? bundler : sink, sent, {
      highWaterBytesOf: (frame) => (isPatient(frame) ? patientBytes : highWaterBytes),
      // A packet needs no pieces. What begins as pieces or bundles do would be taken for one.
      split: (frame) =>
        (messages === 'pieces' && frame.length > LIMITS.link.pieceBytes) || isPiece(frame) || isBundle(frame)
          ? splitFrame(frame, this.#numbers.of(frame))
          : [frame],
    });
    bundler.flush();
    this.#drain.gave(bufferedIn(channels) - before, this.clock.now());
  }

  /** The frames that a message is, has or completes, none where pieces are missing yet; or why it is refused, as a short stable word. */
  receive(message: Uint8Array): Uint8Array[] | string {
    const parts = isBundle(message) ? framesOfBundle(message) : [message];
    if (typeof parts === 'string') return parts;
    const frames: Uint8Array[] = [];
    for (const part of parts) {
      const frame = isPiece(part) ? this.#joiner.add(part) : part;
      if (typeof frame === 'string') return frame;
      if (frame && frame.length > this.limits.frameBytes) return 'message-oversized';
      if (frame) frames.push(frame);
    }
    return frames;
  }

  clear(): void {
    this.#queue.clear();
    this.#joiner.clear();
  }

  get #water(): Water {
    return waterOf(this.#drain.bytesPerSecond, this.limits, Math.max(1, this.#channels.length));
  }
}

const bufferedIn = (channels: readonly DataSink[]): number =>
  channels.reduce((sum, { bufferedAmount }) => sum + bufferedAmount, 0);

/** Several channels as one: what it is given goes to the one with the least before it. */
function leastOf(channels: readonly DataSink[]): Sink {
  const least = () => channels.reduce((a, b) => (b.bufferedAmount < a.bufferedAmount ? b : a));
  return {
    get bufferedAmount() {
      return least().bufferedAmount;
    },
    send: (bytes) => least().send(bytes),
  };
}
