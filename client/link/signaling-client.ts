import { io, type Socket } from 'socket.io-client';
import * as v from 'valibot';
import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import {
  JoinAnswerSchema,
  LeftSchema,
  MemberSchema,
  SignalFromServerSchema,
  type Join,
  type JoinAnswer,
  type Member,
} from '../../shared/schema/signal.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import { Refusals } from '../../shared/refusals.ts';
import type { Signaling, SignalingEvents } from './signaling.ts';

export interface SignalingClientOptions {
  /** Such as `https://192.168.1.20:8443`: where the page came from. */
  url: string;
  room: string;
  self: Member;
  /** Made once per tab: proves to the server that a reconnecting socket is the same peer. */
  token: string;
  clock: Clock;
  joinTimeoutMs?: number;
  /** Pause before joining again after the server itself refused or cut this peer off. */
  rejoinDelayMs?: number;
}

export type JoinRefusal = Extract<JoinAnswer, { ok: false }>['reason'];

/** Why joining failed; `message` is for people and says what to do. */
export class SignalingError extends Error {
  readonly reason: JoinRefusal | 'unreachable' | 'bad-answer' | 'closed';

  constructor(reason: SignalingError['reason'], message: string) {
    super(message);
    this.name = 'SignalingError';
    this.reason = reason;
  }
}

/** `away`: the server cannot be reached; links go on and joining is tried again without end. */
export type SignalingState = 'idle' | 'joining' | 'joined' | 'away' | 'closed';

/** Joins a room over socket.io, relays signals, and joins again whenever the server returns. */
export class SignalingClient implements Signaling {
  readonly self: Member;
  readonly refusals = new Refusals();
  readonly #options: SignalingClientOptions;
  readonly #socket: Socket;
  readonly #waitMs: number;
  readonly #rejoinMs: number;
  readonly #stateListeners = new Set<(state: SignalingState, message: string) => void>();
  #events: SignalingEvents | null = null;
  #state: SignalingState = 'idle';
  #message = '';
  #cancelRetry: Cancel | null = null;
  #firstAnswer: { resolve(others: Member[]): void; reject(error: SignalingError): void } | null = null;

  constructor(options: SignalingClientOptions) {
    this.#options = options;
    this.self = options.self;
    this.#waitMs = options.joinTimeoutMs ?? LIMITS.signaling.joinTimeoutMs;
    this.#rejoinMs = options.rejoinDelayMs ?? LIMITS.link.rebuildBackoffMaxMs;
    this.#socket = io(options.url, {
      autoConnect: false,
      transports: ['websocket', 'polling'],
      tryAllTransports: true,
      reconnectionDelay: LIMITS.link.rebuildBackoffMs,
      reconnectionDelayMax: LIMITS.signaling.reconnectMaxMs,
      timeout: this.#waitMs,
    });
    this.#socket.on('connect', () => this.#connected());
    this.#socket.on('connect_error', () => this.#lost());
    this.#socket.on('disconnect', (reason) => this.#disconnected(reason));
    this.#receive('joined', v.strictObject({ member: MemberSchema }), ({ member }) =>
      this.#events?.onJoined(member),
    );
    this.#receive('left', LeftSchema, ({ id }) => this.#events?.onLeft(id));
    this.#receive('signal', SignalFromServerSchema, ({ from, data }) => this.#events?.onSignal(from, data));
  }

  get state(): SignalingState {
    return this.#state;
  }

  listen(events: SignalingEvents): void {
    this.#events = events;
  }

  /** Calls `listener` now and at every change; `message` says what is wrong and what to do, and may be empty. */
  onState(listener: (state: SignalingState, message: string) => void): Cancel {
    this.#stateListeners.add(listener);
    listener(this.#state, this.#message);
    return () => void this.#stateListeners.delete(listener);
  }

  /** Resolves with the other members; rejects with a SignalingError, and then leaves nothing running. Called once. */
  join(): Promise<Member[]> {
    if (this.#state !== 'idle') {
      return Promise.reject(
        new SignalingError('closed', 'This page has joined a room already: reload it to join another.'),
      );
    }
    this.#set('joining');
    return new Promise<Member[]>((resolve, reject) => {
      const settle = (end: () => void): void => {
        cancelTimeout();
        stopListening();
        end();
      };
      const fail = (error: SignalingError): void =>
        settle(() => {
          this.close();
          reject(error);
        });
      const cancelTimeout = this.#options.clock.after(this.#waitMs, () => fail(this.#unreachable()));
      this.#firstAnswer = { resolve: (others) => settle(() => resolve(others)), reject: fail };
      const stopListening = this.onState((state) => {
        if (state === 'closed') fail(new SignalingError('closed', 'Joining was stopped.'));
      });
      this.#socket.connect();
    });
  }

  signal(to: PeerId, data: string): boolean {
    if (this.#state !== 'joined' || data.length > LIMITS.signaling.signalChars) return false;
    this.#socket.emit('signal', { to, data });
    return true;
  }

  /** Leaves the room. Links are not touched. */
  close(): void {
    if (this.#state === 'closed') return;
    if (this.#socket.connected) this.#socket.emit('leave');
    this.#cancelRetry?.();
    this.#socket.disconnect();
    this.#set('closed');
    this.#stateListeners.clear();
  }

  #connected(): void {
    const join: Join = {
      protocol: PROTOCOL_VERSION,
      room: this.#options.room,
      member: this.self,
      token: this.#options.token,
    };
    this.#socket.timeout(this.#waitMs).emit('join', join, (error: Error | null, answer: unknown) => {
      if (this.#state === 'closed') return;
      if (error) this.#refusedJoin(this.#unreachable());
      else this.#answered(answer);
    });
  }

  #answered(value: unknown): void {
    const answer = v.safeParse(JoinAnswerSchema, value);
    if (!answer.success) {
      this.refusals.add('server', 'join-answer-malformed');
      const message = `The signaling server at ${this.#options.url} gave an answer that this page does not understand: reload the page.`;
      this.#refusedJoin(new SignalingError('bad-answer', message));
    } else if (!answer.output.ok) {
      this.#refusedJoin(new SignalingError(answer.output.reason, answer.output.message));
    } else {
      const others = answer.output.members.filter((member) => member.id !== this.self.id);
      this.#set('joined');
      this.#events?.onRoster(others);
      this.#firstAnswer?.resolve(others);
      this.#firstAnswer = null;
    }
  }

  #refusedJoin(error: SignalingError): void {
    const first = this.#firstAnswer;
    this.#firstAnswer = null;
    if (first) {
      first.reject(error);
      return;
    }
    this.#set('away', error.message);
    this.#cancelRetry?.();
    this.#cancelRetry = this.#options.clock.after(this.#rejoinMs, () => {
      if (this.#socket.connected) this.#connected();
    });
  }

  #disconnected(reason: Socket.DisconnectReason): void {
    if (this.#state === 'closed') return;
    this.#lost();
    // socket.io gives up by itself after this one.
    if (reason === 'io server disconnect') {
      this.#cancelRetry?.();
      this.#cancelRetry = this.#options.clock.after(this.#rejoinMs, () => this.#socket.connect());
    }
  }

  #lost(): void {
    if (this.#state === 'joined') this.#set('away', this.#unreachable().message);
  }

  #unreachable(): SignalingError {
    return new SignalingError(
      'unreachable',
      `The signaling server at ${this.#options.url} does not answer. Check that it is running and that this device is on the same network.`,
    );
  }

  #receive<T>(event: string, schema: v.GenericSchema<unknown, T>, take: (value: T) => void): void {
    this.#socket.on(event, (value: unknown) => {
      const parsed = v.safeParse(schema, value);
      if (!parsed.success) this.refusals.add('server', `${event}-malformed`);
      else if (this.#state === 'joined') take(parsed.output);
    });
  }

  #set(state: SignalingState, message = ''): void {
    this.#state = state;
    this.#message = message;
    for (const listener of [...this.#stateListeners]) listener(state, message);
  }
}
