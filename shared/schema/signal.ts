import * as v from 'valibot';
import { PEER_ID_PATTERN, ROOM_CODE_PATTERN } from '../ids.ts';
import { LIMITS } from '../limits.ts';

/**
 * What peers and the signaling server say to each other, as socket.io events:
 * `join` (Join -> JoinAnswer by acknowledgement), `signal` (both ways), `joined`, `left`, `leave`.
 * The server relays `data` without reading it: it may be sealed with the room's secret.
 */
export const PeerIdSchema = v.pipe(v.string(), v.regex(PEER_ID_PATTERN));
export const RoomCodeSchema = v.pipe(v.string(), v.regex(ROOM_CODE_PATTERN));

export const MemberSchema = v.strictObject({
  id: PeerIdSchema,
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(LIMITS.room.nameChars)),
});
export type Member = v.InferOutput<typeof MemberSchema>;

export const JoinSchema = v.strictObject({
  protocol: v.pipe(v.number(), v.integer()),
  room: RoomCodeSchema,
  member: MemberSchema,
  /** Known to this tab alone: proves that a reconnecting socket is the same peer. */
  token: v.pipe(v.string(), v.minLength(16), v.maxLength(64)),
});
export type Join = v.InferOutput<typeof JoinSchema>;

export const JoinAnswerSchema = v.variant('ok', [
  v.strictObject({
    ok: v.literal(true),
    members: v.pipe(v.array(MemberSchema), v.maxLength(LIMITS.room.peers)),
  }),
  v.strictObject({
    ok: v.literal(false),
    reason: v.picklist([
      'room-full',
      'server-full',
      'wrong-version',
      'bad-request',
      'id-taken',
      'too-many-requests',
    ]),
    /** A sentence for people. */
    message: v.pipe(v.string(), v.maxLength(300)),
  }),
]);
export type JoinAnswer = v.InferOutput<typeof JoinAnswerSchema>;

export const SignalToServerSchema = v.strictObject({
  to: PeerIdSchema,
  data: v.pipe(v.string(), v.maxLength(LIMITS.signaling.signalChars)),
});
export type SignalToServer = v.InferOutput<typeof SignalToServerSchema>;

/** `from` is set by the server from the socket: a peer cannot speak for another. */
export const SignalFromServerSchema = v.strictObject({
  from: PeerIdSchema,
  data: v.pipe(v.string(), v.maxLength(LIMITS.signaling.signalChars)),
});
export type SignalFromServer = v.InferOutput<typeof SignalFromServerSchema>;

export const LeftSchema = v.strictObject({ id: PeerIdSchema });

/** What `data` of a signal holds once opened: WebRTC descriptions and candidates of one attempt to link. */
export const LinkSignalSchema = v.strictObject({
  /** Counts attempts of this pair, set by the initiator: signals of older attempts are ignored. */
  attempt: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000)),
  signal: v.union([
    v.object({ type: v.picklist(['offer', 'answer']), sdp: v.pipe(v.string(), v.maxLength(32_000)) }),
    v.object({
      type: v.literal('candidate'),
      candidate: v.object({
        candidate: v.pipe(v.string(), v.maxLength(2_000)),
        sdpMLineIndex: v.nullish(v.number()),
        sdpMid: v.nullish(v.pipe(v.string(), v.maxLength(64))),
      }),
    }),
    v.object({ type: v.literal('renegotiate'), renegotiate: v.boolean() }),
    v.object({ type: v.literal('transceiverRequest'), transceiverRequest: v.unknown() }),
  ]),
});
export type LinkSignal = v.InferOutput<typeof LinkSignalSchema>;
