import SimplePeer from 'simple-peer';
import { releaseFrame } from '../../shared/frame-pool.ts';
import type { Cancel } from '../ports/clock.ts';
import type { Channel } from '../ports/transport.ts';
import { DataLine, type DataSink } from './data-line.ts';
import type { Link, LinkOptions, Signal } from './link.ts';
import { later, type Later } from './later.ts';
import { failReason, startReason, timeoutReason } from './link-reasons.ts';
import { OutQueue } from './out-queue.ts';
import { PacketWatch } from './packet-watch.ts';
import { thresholdOf } from './water.ts';

/** Both sides create the data channel with this stream id; browsers number theirs from 0 up. */
const DATA_CHANNEL_ID = 100;

/** simple-peer has one channel and no back-pressure: the second channel and the watermarks need what it hides. */
interface Internals {
  _pc?: RTCPeerConnection | null;
  _channel?: RTCDataChannel | null;
}

/**
 * A link over WebRTC: simple-peer's own channel carries control, a second one on the same connection carries data.
 * It is open when both are.
 */
export class PeerLink implements Link {
  readonly #options: LinkOptions;
  readonly #control: OutQueue;
  readonly #data: DataLine;
  #peer: SimplePeer.Instance | null = null;
  #dataChannel: RTCDataChannel | null = null;
  #controlChannel: RTCDataChannel | null = null;
  #described = false;
  #candidates = 0;
  /** Candidates that came before the description they belong to. */
  #pending: RTCIceCandidateInit[] = [];
  #open = false;
  #closed = false;
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

  signal(signal: Signal): void {
    if (this.#closed) return;
    if (signal.type === 'candidate') this.#takeCandidate(signal.candidate);
    else if (signal.type === 'offer' || signal.type === 'answer') this.#takeDescription(signal);
    else this.#options.events.onRefused('media-request');
  }

  send(channel: Channel, bytes: Uint8Array): boolean {
    if (!this.#open) return false;
    const queue = channel === 'control' ? this.#control : this.#data;
    if (!queue.fits(bytes)) this.#options.events.onRefused('own-message-size');
    if (!queue.push(bytes)) return false;
    this.#pump();
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
    this.#pending = [];
    this.#writable?.resolve(false);
    this.#dataChannel?.close();
    this.#peer?.destroy();
  }

  #start(): void {
    const peer = new SimplePeer({
      initiator: this.#options.initiator,
      channelName: 'control',
      config: { iceServers: this.#options.iceServers },
      // Keeps message borders, and text apart from bytes.
      objectMode: true,
    });
    this.#peer = peer;
    // Stays for good: simple-peer can report an error after it was destroyed, and an unheard one would be thrown.
    peer.on('error', (error) => this.#fail(failReason(error)));
    peer.on('close', () => this.#fail('the other side closed the link'));
    peer.on('signal', (signal) => {
      if (!this.#closed) this.#options.events.onSignal(JSON.parse(JSON.stringify(signal)) as Signal);
    });
    peer.on('data', (data: unknown) => this.#received('control', data));
    peer.on('connect', () => {
      this.#controlChannel = (peer as Internals)._channel ?? null;
      if (this.#controlChannel) this.#watch(this.#controlChannel, this.#options.limits.controlMessageBytes);
      this.#maybeOpen();
    });
    peer.on('iceStateChange', (state: string) => this.#watchDisconnected(state));

    const connection = (peer as Internals)._pc;
    if (!connection) return;
    const channel = connection.createDataChannel('data', {
      negotiated: true,
      id: DATA_CHANNEL_ID,
      ordered: false,
    });
    channel.binaryType = 'arraybuffer';
    channel.addEventListener('open', () => this.#maybeOpen());
    channel.addEventListener('message', (event) => this.#received('data', event.data));
    channel.addEventListener('close', () => this.#fail('the other side closed the link'));
    this.#watch(channel, this.#options.limits.frameBytes);
    this.#dataChannel = channel;
    const { clock, limits } = this.#options;
    this.#packets = new PacketWatch(connection, clock, limits.packetWatchMs);
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

  #takeDescription(signal: { type: 'offer' | 'answer'; sdp: string }): void {
    const wanted = this.#options.initiator ? 'answer' : 'offer';
    if (signal.type !== wanted || this.#described) {
      this.#options.events.onRefused('description-unexpected');
      return;
    }
    this.#described = true;
    this.#peer?.signal(signal);
    for (const candidate of this.#pending.splice(0)) this.#addCandidate(candidate);
  }

  #takeCandidate(candidate: RTCIceCandidateInit): void {
    if (++this.#candidates > this.#options.limits.candidates)
      this.#options.events.onRefused('candidate-flood');
    else if (this.#described) this.#addCandidate(candidate);
    else this.#pending.push(candidate);
  }

  /** Past simple-peer, which destroys the link over a candidate that the browser rejects. */
  #addCandidate(candidate: RTCIceCandidateInit): void {
    const connection = this.#peer && (this.#peer as Internals)._pc;
    connection?.addIceCandidate(candidate).catch(() => {
      if (!this.#closed) this.#options.events.onRefused('candidate-rejected');
    });
  }

  #received(channel: Channel, data: unknown): void {
    if (this.#closed) return;
    const { limits, stats, events } = this.#options;
    const bytes = toBytes(data);
    if (!bytes) {
      events.onRefused('message-not-binary');
      return;
    }
    if (bytes.length > (channel === 'control' ? limits.controlMessageBytes : limits.frameBytes)) {
      events.onRefused('message-oversized');
      return;
    }
    const message = channel === 'data' ? this.#data.receive(bytes) : bytes;
    if (message === null) return;
    if (typeof message === 'string') {
      events.onRefused(message);
      return;
    }
    stats.bytesReceived += message.length;
    stats.messagesReceived++;
    events.onMessage(channel, message);
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
      if (this.#control.empty) this.#data.pump(sinkOf(this.#dataChannel), sentFrame);
    } catch (error) {
      // Not here and now: the caller may be in the middle of a `send`.
      this.#cancelTimeout = this.#options.clock.after(0, () => this.#fail(failReason(error)));
    }
    if (!this.#writable || !this.#data.isShort) return;
    this.#writable.resolve(true);
    this.#writable = null;
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
