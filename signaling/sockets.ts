import type { IncomingMessage } from 'node:http';
import { RateLimiterMemory } from 'rate-limiter-flexible';
import type { Server, Socket } from 'socket.io';
import * as v from 'valibot';
import type { PeerId } from '../shared/ids.ts';
import { LIMITS } from '../shared/limits.ts';
import {
  JoinSchema,
  SignalToServerSchema,
  type JoinAnswer,
  type SignalFromServer,
} from '../shared/schema/signal.ts';
import { PROTOCOL_VERSION } from '../shared/version.ts';
import type { Refusals } from './refusals.ts';
import type { Rooms } from './rooms.ts';

type JoinRefusal = Extract<JoinAnswer, { ok: false }>['reason'];
type SignalRefusal = 'bad-request' | 'not-in-room' | 'unknown-peer' | 'too-many-requests' | 'receiver-busy';

/** What passed through the server between peers. */
export interface Relayed {
  signals: number;
  bytes: number;
  largestBytes: number;
}

export interface SignalingLimits {
  signalsPerSecond: number;
  joinsPerMinutePerAddress: number;
  joinTimeoutMs: number;
}

export interface SignalingContext {
  rooms: Rooms<Socket>;
  relayed: Relayed;
  refusals: Refusals;
  limits: SignalingLimits;
}

const AnyVersionSchema = v.object({ protocol: v.pipe(v.number(), v.integer()) });

const MESSAGES: Record<JoinRefusal | SignalRefusal, string> = {
  'room-full': `This room is full: it takes ${LIMITS.room.peers} devices. Wait until one leaves, or open a new room.`,
  'server-full': 'This server has no place for another room right now. Try again in a minute.',
  'wrong-version': 'This page and the server are of different versions. Reload the page.',
  'bad-request': 'The server could not read this request. Reload the page.',
  'id-taken': 'Another device in this room has the same id. Reload the page to get a new one.',
  'too-many-requests': 'Too many requests in a short time. Wait a moment and try again.',
  'not-in-room': 'Join a room first.',
  'unknown-peer': 'That device is not in this room (any more).',
  'receiver-busy': 'That device does not take its messages fast enough. Try again in a moment.',
};

/** True for pages of this server and for clients that are no browsers (those send no origin). */
export function isSameOrigin({ headers: { origin, host } }: IncomingMessage): boolean {
  if (origin === undefined) return true;
  try {
    return new URL(origin).host === new URL(`${new URL(origin).protocol}//${host ?? ''}`).host;
  } catch {
    return false;
  }
}

/** Lets peers of a room find and signal each other. Whatever arrives is checked, answered and counted, never thrown. */
export function serveSignaling(io: Server, context: SignalingContext): void {
  const { limits } = context;
  const perSocket = new RateLimiterMemory({ points: limits.signalsPerSecond, duration: 1 });
  const perAddress = new RateLimiterMemory({ points: limits.joinsPerMinutePerAddress, duration: 60 });
  io.on('connection', (socket) => {
    new Session(socket, context, perSocket, perAddress);
  });
}

/** One socket: in at most one room, as at most one member. */
class Session {
  #place: { code: string; id: PeerId } | null = null;
  #patience: NodeJS.Timeout | undefined;

  constructor(
    private readonly socket: Socket,
    private readonly context: SignalingContext,
    private readonly perSocket: RateLimiterMemory,
    private readonly perAddress: RateLimiterMemory,
  ) {
    socket.on('join', (...args: unknown[]) => this.#guard(this.#join(...split(args))));
    socket.on('signal', (...args: unknown[]) => this.#guard(this.#signal(...split(args))));
    socket.on('leave', (...args: unknown[]) => this.#guard(this.#leave(split(args)[1])));
    socket.onAny((event: unknown, ...args: unknown[]) => {
      if (event === 'join' || event === 'signal' || event === 'leave') return;
      context.refusals.count('other:unknown-event');
      split(args)[1]({ ok: false, reason: 'bad-request', message: MESSAGES['bad-request'] });
    });
    socket.on('disconnect', (_reason, description: unknown) => {
      clearTimeout(this.#patience);
      if (isTooLarge(description)) context.refusals.count('connect:too-large');
      this.#depart();
    });
    this.#awaitJoin();
  }

  async #join(payload: unknown, answer: Answer): Promise<void> {
    const isAllowed = await this.#allowed(this.perAddress, this.socket.handshake.address);
    if (this.socket.disconnected) return;
    const refusal = isAllowed ? this.#tryJoin(payload, answer) : 'too-many-requests';
    if (refusal === null) return;
    this.context.refusals.count(`join:${refusal}`);
    answer({ ok: false, reason: refusal, message: MESSAGES[refusal] } satisfies JoinAnswer);
  }

  #tryJoin(payload: unknown, answer: Answer): JoinRefusal | null {
    const version = v.safeParse(AnyVersionSchema, payload);
    if (version.success && version.output.protocol !== PROTOCOL_VERSION) return 'wrong-version';
    const { success, output } = v.safeParse(JoinSchema, payload);
    if (!success) return 'bad-request';
    const { room: code, member, token } = output;
    // A socket is one member of one room; asking again for the same place is a lost answer, and fine.
    if (this.#place && (this.#place.code !== code || this.#place.id !== member.id)) return 'bad-request';
    const outcome = this.context.rooms.join({ code, member, token, seat: this.socket });
    if (!outcome.ok) return outcome.reason;
    clearTimeout(this.#patience);
    this.#place = { code, id: member.id };
    void this.socket.join(code);
    outcome.replaced?.disconnect(true);
    answer({ ok: true, members: outcome.others } satisfies JoinAnswer);
    if (outcome.isNew) this.socket.to(code).emit('joined', { member });
    return null;
  }

  async #signal(payload: unknown, answer: Answer): Promise<void> {
    const isAllowed = await this.#allowed(this.perSocket, this.socket.id);
    if (this.socket.disconnected) return;
    const refusal = isAllowed ? this.#trySignal(payload) : 'too-many-requests';
    if (refusal !== null) this.context.refusals.count(`signal:${refusal}`);
    answer(refusal === null ? { ok: true } : { ok: false, reason: refusal, message: MESSAGES[refusal] });
  }

  #trySignal(payload: unknown): SignalRefusal | null {
    const { success, output } = v.safeParse(SignalToServerSchema, payload);
    if (!success) return 'bad-request';
    if (!this.#place) return 'not-in-room';
    const { code, id: from } = this.#place;
    const receiver = this.context.rooms.seat(code, output.to);
    if (!receiver || receiver === this.socket) return 'unknown-peer';
    if (queueLength(receiver) >= LIMITS.signaling.queuedPackets) return 'receiver-busy';
    receiver.emit('signal', { from, data: output.data } satisfies SignalFromServer);
    const bytes = Buffer.byteLength(output.data);
    const { relayed } = this.context;
    relayed.signals += 1;
    relayed.bytes += bytes;
    relayed.largestBytes = Math.max(relayed.largestBytes, bytes);
    return null;
  }

  async #leave(answer: Answer): Promise<void> {
    const isAllowed = await this.#allowed(this.perSocket, this.socket.id);
    if (this.socket.disconnected) return;
    const refusal = isAllowed ? this.#tryLeave() : 'too-many-requests';
    if (refusal !== null) this.context.refusals.count(`leave:${refusal}`);
    answer(refusal === null ? { ok: true } : { ok: false, reason: refusal, message: MESSAGES[refusal] });
  }

  #tryLeave(): 'not-in-room' | null {
    if (!this.#depart()) return 'not-in-room';
    this.#awaitJoin();
    return null;
  }

  /** False where this socket was in no room, or another socket has taken its place. */
  #depart(): boolean {
    if (!this.#place) return false;
    const { code, id } = this.#place;
    this.#place = null;
    if (!this.context.rooms.leave(code, id, this.socket)) return false;
    this.socket.to(code).emit('left', { id });
    void this.socket.leave(code);
    return true;
  }

  /** Closes the transport only, so that a client that merely slept connects again by itself. */
  #awaitJoin(): void {
    clearTimeout(this.#patience);
    this.#patience = setTimeout(() => {
      this.context.refusals.count('connect:no-join');
      this.socket.conn.close();
    }, this.context.limits.joinTimeoutMs);
  }

  /** A defect of the server must not end it for every room. */
  #guard(work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.context.refusals.count('other:server-error');
      console.error('A message could not be handled:', error);
    });
  }

  /** The socket may be gone when this resolves. */
  #allowed(limiter: RateLimiterMemory, key: string): Promise<boolean> {
    return limiter.consume(key).then(
      () => true,
      () => false,
    );
  }
}

type Answer = (answer: unknown) => void;

/** The payload and the acknowledgement, which a client may have left out. */
function split(args: unknown[]): [payload: unknown, answer: Answer] {
  const last = args.at(-1);
  const answer = typeof last === 'function' ? (last as Answer) : () => undefined;
  const payloads = typeof last === 'function' ? args.slice(0, -1) : args;
  return [payloads.length === 1 ? payloads[0] : undefined, answer];
}

/** engine.io tells nobody how much waits for a slow socket, so this looks. */
function queueLength(socket: Socket): number {
  return (socket.conn as unknown as { writeBuffer: unknown[] }).writeBuffer.length;
}

function isTooLarge(description: unknown): boolean {
  return description instanceof Error && description.message.includes('Max payload size exceeded');
}
