import { releaseFrame } from '../../shared/frame-pool.ts';
import type { Cancel } from '../ports/clock.ts';
import type { Channel } from '../ports/transport.ts';
import { Connection } from './connection.ts';
import { DataLine, type DataSink } from './data-line.ts';
import type { Link, LinkOptions, Signal } from './link.ts';
import { later, type Later } from './later.ts';
import { CLOSED, failReason, startReason, timeoutReason } from './link-reasons.ts';
import { OutQueue } from './out-queue.ts';
import { PacketWatch } from './packet-watch.ts';
import { SpareLines } from './spare-lines.ts';
import { thresholdOf } from './water.ts';

/** Both sides create the data channel with this stream id; browsers number theirs from 0 up. */
const DATA_CHANNEL_ID = 100;

/**
 * A link over WebRTC: simple-peer's own channel carries control, a second one on the same connection carries data. It is open when both
 * are. Where data goes slowly, it goes by spare connections instead, and control has its own to itself.
 */
export class PeerLink implements Link {
  readonly #options: LinkOptions;
  readonly #control: OutQueue;
  readonly #data: DataLine;
  readonly #spares: SpareLines;
  #connection: Connection | null = null;
  #dataChannel: RTCDataChannel | null = null;
  #controlChannel: RTCDataChannel | null = null;
  #open = false;
  #closed = false;
  #pumpsSoon = false;
  #goesBySpares = false;
  #cancelTimeout: Cancel | null = null;
  #cancelDisconnected: Cancel | null = null;
  #writable: Later<boolean> | null = null;
  #packets: PacketWatch | null = null;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { limits, clock } = options;
    const { controlMessageBytes, controlQueueBytes, highWaterBytes } = limits;
    this.#control = new OutQueue({
      messageBytes: controlMessageBytes,
      queueBytes: controlQueueBytes,
      highWaterBytes,
    });
    this.#data = new DataLine(limits, clock);
    this.#spares = new SpareLines({
      ...options,
      tell: (note) => void this.send('control', note),
      onOpen: (channel) => {
        this.#watch(channel, limits.frameBytes);
        this.#pump();
      },
      onData: (data) => this.#received('data', data),
      onBroken: (reason) => this.#fail(reason),
      onRefused: (reason) => options.events.onRefused(reason),
    });
    try {
      this.#start();
      const wait = limits.connectTimeoutMs;
      this.#cancelTimeout = clock.after(wait, () => this.#fail(timeoutReason(wait)));
    } catch (error) {
      this.#cancelTimeout = clock.after(0, () => this.#fail(startReason(error)));
    }
  }

  get open(): boolean {
    return this.#open;
  }

  get queuedBytes(): number {
    return this.#control.bytes + this.#data.bytes;
  }

  get heardAtMs(): number {
    return this.#packets?.heardAtMs ?? -Infinity;
  }

  get isSlow(): boolean {
    return this.#goesBySpares;
  }

  signal(signal: Signal): void {
    this.#connection?.signal(signal);
  }

  send(channel: Channel, bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    const queue = channel === 'control' ? this.#control : this.#data;
    if (!queue.fits(bytes)) this.#options.events.onRefused('own-message-size');
    if (!queue.push(bytes)) return false;
    if (channel === 'control') this.#pump();
    else this.#pumpSoon();
    return true;
  }

  whenWritable(): Promise<boolean> {
    if (!this.#open) return Promise.resolve(false);
    if (this.#data.isShort) return Promise.resolve(true);
    this.#writable ??= later();
    return this.#writable.promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    this.#cancelTimeout?.();
    this.#cancelDisconnected?.();
    this.#packets?.stop();
    this.#control.clear();
    this.#data.clear();
    this.#writable?.resolve(false);
    this.#spares.close();
    this.#dataChannel?.close();
    this.#connection?.close();
  }

  #start(): void {
    const { clock, events, iceServers, initiator, limits } = this.#options;
    const connection = new Connection({
      initiator,
      iceServers,
      candidates: limits.candidates,
      channel: { name: 'control', ordered: true },
      events: {
        onSignal: (signal) => events.onSignal(signal),
        onConnect: (channel) => {
          this.#controlChannel = channel;
          this.#watch(channel, limits.controlMessageBytes);
          this.#maybeOpen();
        },
        onData: (data) => this.#received('control', data),
        onClose: (reason) => this.#fail(reason),
        onRefused: (reason) => events.onRefused(reason),
      },
    });
    this.#connection = connection;
    connection.onIceState((state) => this.#watchDisconnected(state));
    if (!connection.native) return;
    const channel = connection.native.createDataChannel('data', {
      negotiated: true,
      id: DATA_CHANNEL_ID,
      ordered: false,
    });
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('open', () => this.#maybeOpen());
    channel.addEventListener('message', (event) => this.#received('data', event.data));
    channel.addEventListener('close', () => this.#fail(CLOSED));
    this.#watch(channel, limits.frameBytes);
    this.#dataChannel = channel;
    this.#packets = new PacketWatch(connection.native, clock, limits.packetWatchMs);
  }

  #watch(channel: RTCDataChannel, messageBytes: number): void {
    channel.bufferedAmountLowThreshold = thresholdOf(messageBytes, this.#options.limits);
    channel.addEventListener('bufferedamountlow', () => this.#pump());
  }

  #maybeOpen(): void {
    if (this.#closed || this.#open) return;
    if (this.#controlChannel?.readyState !== 'open' || this.#dataChannel?.readyState !== 'open') return;
    this.#open = true;
    this.#cancelTimeout?.();
    this.#options.events.onOpen();
  }

  #received(channel: Channel, data: unknown): void {
    if (this.#closed) return;
    const { limits, events } = this.#options;
    const bytes = toBytes(data);
    if (!bytes) {
      events.onRefused('message-not-binary');
      return;
    }
    if (bytes.length > (channel === 'control' ? limits.controlMessageBytes : limits.bundleBytes)) {
      events.onRefused('message-oversized');
      return;
    }
    if (channel === 'control' && this.#spares.receive(bytes)) return;
    const messages = channel === 'data' ? this.#data.receive(bytes) : [bytes];
    if (typeof messages === 'string') {
      events.onRefused(messages);
      return;
    }
    for (const message of messages) this.#take(channel, message);
  }

  #take(channel: Channel, message: Uint8Array): void {
    // What came before it in a bundle may have closed the link.
    if (this.#closed) return;
    const { stats, events } = this.#options;
    stats.bytesReceived += message.length;
    stats.messagesReceived++;
    events.onMessage(channel, message);
  }

  /** When whoever sends now has sent all: frames that go together are put together. */
  #pumpSoon(): void {
    if (this.#pumpsSoon) return;
    this.#pumpsSoon = true;
    queueMicrotask(() => {
      this.#pumpsSoon = false;
      this.#pump();
    });
  }

  /** Control goes first: data waits while a control message does. */
  #pump(): void {
    if (!this.#open || !this.#controlChannel || !this.#dataChannel) return;
    const sent = (bytes: Uint8Array): void => {
      this.#options.stats.bytesSent += bytes.length;
      this.#options.stats.messagesSent++;
    };
    const sentFrame = (bytes: Uint8Array): void => {
      sent(bytes);
      // The channel has made a copy of its own.
      releaseFrame(bytes);
    };
    try {
      this.#control.pump(sinkOf(this.#controlChannel), sent);
      if (this.#control.empty) this.#data.pump(this.#dataSinks(this.#dataChannel), sentFrame);
      this.#spares.consider(this.#data.bytesPerSecond);
    } catch (error) {
      // Not here and now: the caller may be in the middle of a `send`.
      this.#cancelTimeout = this.#options.clock.after(0, () => this.#fail(failReason(error)));
    }
    if (!this.#writable || !this.#data.isShort) return;
    this.#writable.resolve(true);
    this.#writable = null;
  }

  #dataSinks(own: RTCDataChannel): DataSink[] {
    const { slowBytesPerSecond, fastBytesPerSecond } = this.#options.limits;
    const { bytesPerSecond } = this.#data;
    // Losses at the very start stop a channel for seconds: a link that was slow once need not be.
    if (bytesPerSecond >= fastBytesPerSecond) this.#goesBySpares = false;
    else if (bytesPerSecond < slowBytesPerSecond) this.#goesBySpares = true;
    const spare = this.#goesBySpares ? this.#spares.channels : [];
    return (spare.length > 0 ? spare : [own]).map(sinkOf);
  }

  #watchDisconnected(state: string): void {
    this.#cancelDisconnected?.();
    this.#cancelDisconnected = null;
    if (this.#closed || state !== 'disconnected') return;
    const wait = this.#options.limits.disconnectedMs;
    this.#cancelDisconnected = this.#options.clock.after(wait, () =>
      this.#fail('nothing came from the other device for a while; it may sleep or have left the network'),
    );
  }

  #fail(reason: string): void {
    if (this.#closed) return;
    this.close();
    this.#options.events.onClose(reason);
  }
}

/** A channel takes any bytes; its type insists on their buffer not being shared. */
const sinkOf = (channel: RTCDataChannel): DataSink => channel as unknown as DataSink;

function toBytes(data: unknown): Uint8Array | null {
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  if (data instanceof Uint8Array) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return null;
}
