import SimplePeer from 'simple-peer';
import type { Signal } from './link.ts';
import { CLOSED, failReason } from './link-reasons.ts';

/** simple-peer has one channel and no back-pressure: further channels and watermarks need what it hides. */
interface Internals {
  _pc?: RTCPeerConnection | null;
  _channel?: RTCDataChannel | null;
}

export interface ConnectionEvents {
  onSignal(signal: Signal): void;
  /** Its own channel is open. */
  onConnect(channel: RTCDataChannel): void;
  onData(data: unknown): void;
  /** It failed or the other side closed it; `reason` is for people. May come more than once. */
  onClose(reason: string): void;
  onRefused(reason: string): void;
}

export interface ConnectionOptions {
  initiator: boolean;
  iceServers: RTCIceServer[];
  /** Candidates taken from the other side. */
  candidates: number;
  /** Of its own channel. */
  channel: { name: string; ordered: boolean };
  events: ConnectionEvents;
}

/** One connection over simple-peer, safe against what the other side signals. Throws where the browser cannot start one. */
export class Connection {
  readonly #peer: SimplePeer.Instance;
  #described = false;
  #candidates = 0;
  /** Candidates that came before the description they belong to. */
  #pending: RTCIceCandidateInit[] = [];
  #closed = false;

  constructor(private readonly options: ConnectionOptions) {
    const { initiator, iceServers, channel, events } = options;
    const peer = new SimplePeer({
      initiator,
      channelName: channel.name,
      channelConfig: { ordered: channel.ordered },
      config: { iceServers },
      // Keeps message borders, and text apart from bytes.
      objectMode: true,
    });
    this.#peer = peer;
    // Stays for good: simple-peer can report an error after it was destroyed, and an unheard one would be thrown.
    peer.on('error', (error) => this.#failed(failReason(error)));
    peer.on('close', () => this.#failed(CLOSED));
    peer.on('signal', (signal) => {
      if (!this.#closed) events.onSignal(JSON.parse(JSON.stringify(signal)) as Signal);
    });
    peer.on('data', (data: unknown) => {
      if (!this.#closed) events.onData(data);
    });
    peer.on('connect', () => {
      const own = (peer as Internals)._channel;
      if (own && !this.#closed) events.onConnect(own);
    });
  }

  /** Null where the browser gave none. */
  get native(): RTCPeerConnection | null {
    return (this.#peer as Internals)._pc ?? null;
  }

  onIceState(listener: (state: string) => void): void {
    this.#peer.on('iceStateChange', listener);
  }

  signal(signal: Signal): void {
    if (this.#closed) return;
    if (signal.type === 'candidate') this.#takeCandidate(signal.candidate);
    else if (signal.type === 'offer' || signal.type === 'answer') this.#takeDescription(signal);
    else this.options.events.onRefused('media-request');
  }

  /** Ends it without an event. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#peer.destroy();
  }

  #takeDescription(signal: { type: 'offer' | 'answer'; sdp: string }): void {
    const wanted = this.options.initiator ? 'answer' : 'offer';
    if (signal.type !== wanted || this.#described) {
      this.options.events.onRefused('description-unexpected');
      return;
    }
    this.#described = true;
    this.#peer.signal(signal);
    for (const candidate of this.#pending.splice(0)) this.#addCandidate(candidate);
  }

  #takeCandidate(candidate: RTCIceCandidateInit): void {
    if (++this.#candidates > this.options.candidates) this.options.events.onRefused('candidate-flood');
    else if (this.#described) this.#addCandidate(candidate);
    else this.#pending.push(candidate);
  }

  /** Past simple-peer, which destroys the connection over a candidate that the browser rejects. */
  #addCandidate(candidate: RTCIceCandidateInit): void {
    this.native?.addIceCandidate(candidate).catch(() => {
      if (!this.#closed) this.options.events.onRefused('candidate-rejected');
    });
  }

  #failed(reason: string): void {
    if (!this.#closed) this.options.events.onClose(reason);
  }
}
