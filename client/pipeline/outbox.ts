import { encodePart, type PartFrame, type PartHead } from '../../shared/frames.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { ControlOf } from '../../shared/schema/control.ts';
import { LIMITS } from '../../shared/limits.ts';
import { releaseNumbers } from '../../shared/number-pool.ts';
import { packetsOf, stretchesOf } from '../../shared/packets.ts';
import type { WireFormat } from '../../shared/wire.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Transport } from '../ports/transport.ts';
import { planTag, type BoundaryView, type LaneEnd } from './assignment.ts';
import { rangeWidth, takeRange } from './parts.ts';
import type { Traffic } from './traffic.ts';

export interface SentPart {
  /** Frame headers included. */
  bytes: number;
  /** How many packets of it go; null: all. */
  packets: number | null;
  /** True where its frames say that. */
  isSaid: boolean;
}

/** What leaves a block at a boundary. */
export interface Departure {
  kind: PartFrame['kind'];
  boundary: BoundaryView;
  ends: readonly LaneEnd[];
  step: number;
  micro: number;
  rows: number;
  /** The register on this side of the boundary; the outbox has the array from then on. */
  data: Float32Array;
  /** By lane, where not all packets of its part go: those that do. */
  gaps?: ReadonlyMap<number, ReadonlySet<number>>;
  /** What goes of a part is queued, or dropped. */
  onSent?: (end: LaneEnd, sent: SentPart) => void;
  /** True once nobody wants it any more. */
  isStale?: () => boolean;
}

export type Request = Pick<
  ControlOf<'resend'>,
  'kind' | 'boundary' | 'step' | 'micro' | 'packets' | 'attempt'
>;

/** A part that has left, for the case that it did not come. */
interface Kept {
  head: Omit<PartHead, 'offset' | 'count'>;
  data: Float32Array;
  packets: ReadonlySet<number> | undefined;
}

/** How parts go out where some may be lost. */
export interface OutboxOptions {
  /** How long a part may wait for a slow link; not without bound: it is dropped, too, where it finds too much before it. */
  lineMs: number;
  /** Parts of each stream that are kept to be sent again. */
  keeps: number;
  /** How many packets of a part go to a peer in one frame. */
  packetsAtOnce: (to: PeerId) => number;
  /** By way of whom a part of so many bytes goes again: straight to its receiver, or to a peer that passes it on. */
  waysAgain: (to: PeerId, partBytes: number) => readonly PeerId[];
  /** The time in milliseconds, for what may be dropped after it waited. */
  now: () => number;
}

/** Every part goes once, whole. */
const TRUSTED: OutboxOptions = {
  lineMs: Infinity,
  keeps: 0,
  packetsAtOnce: () => LIMITS.link.framePackets,
  waysAgain: () => [],
  now: () => 0,
};

/** What is next for a part that waited: it goes on, nobody waits for it any more, or its link is gone. */
type Turn = 'send' | 'late' | 'gone';

/** Sends parts of one plan to the lanes beyond a boundary, straight from peer to peer; what is for this peer itself stays here. */
export class Outbox {
  readonly #options: OutboxOptions;
  readonly #fence: Pick<PartFrame, 'term' | 'version' | 'planTag' | 'lane'>;
  /** Parts that wait for a link. */
  readonly #waiting = new Map<PeerId, number>();
  /** By stream, in the order in which they left. */
  readonly #kept = new Map<string, Kept[]>();

  constructor(
    private readonly transport: Transport,
    plan: Plan,
    lane: number,
    private readonly format: WireFormat,
    private readonly traffic: Traffic,
    /** A part for this very peer. */
    private readonly keep: (departure: Departure, data: Float32Array) => void,
    options: Partial<OutboxOptions> = {},
  ) {
    this.#options = { ...TRUSTED, ...options };
    this.#fence = { term: plan.term.counter, version: plan.version, planTag: planTag(plan), lane };
  }

  /** Resolves when every frame is queued or dropped; gives the peers to which the link is gone: there the part is lost. */
  async send(departure: Departure): Promise<PeerId[]> {
    const { boundary, ends, rows, data } = departure;
    const { self } = this.transport;
    const parts = ends.map((end) => takeRange(data, rows, boundary.shape, boundary.held, end.range));
    const sent = ends.map((end, i) => {
      if (end.peer !== self) return this.#sendPart(end, departure, parts[i]);
      this.keep(departure, parts[i]);
      return Promise.resolve(true);
    });
    // What could not leave at once was copied; what this very peer gets is its inbox's now.
    const kept = parts.filter((_, i) => ends[i].peer === self);
    for (const numbers of new Set([data, ...parts])) if (!kept.includes(numbers)) releaseNumbers(numbers);
    const isSent = await Promise.all(sent);
    return ends.filter((_, i) => !isSent[i]).map(({ peer }) => peer);
  }

  /** Packets of a part leave once more (none are named: all of them), as far as the link takes them now. */
  resend(to: PeerId, { kind, boundary, step, micro, packets, attempt }: Request): void {
    const kept = this.#kept
      .get(streamOf(to, kind, boundary))
      ?.find(({ head }) => head.step === step && head.micro === micro);
    if (!kept) return;
    const { head, data } = kept;
    const sent = kept.packets ?? allOf(packetsOf(head.format, data.length));
    const wanted = packets.length > 0 ? new Set(packets.filter((packet) => sent.has(packet))) : sent;
    this.#sendAgain(to, { ...head, attempt }, data, wanted);
  }

  clear(): void {
    this.#kept.clear();
  }

  #keep(to: PeerId, kept: Kept): void {
    const { keeps } = this.#options;
    if (keeps === 0) return;
    const key = streamOf(to, kept.head.kind, kept.head.boundary);
    const stream = this.#kept.get(key) ?? [];
    this.#kept.set(key, stream);
    stream.push({ ...kept, data: kept.data.slice() });
    if (stream.length > keeps) stream.shift();
  }

  async #sendPart(
    end: LaneEnd,
    { kind, boundary, step, micro, rows, gaps, onSent, isStale }: Departure,
    part: Float32Array,
  ): Promise<boolean> {
    const waiting = this.#waiting.get(end.peer) ?? 0;
    const { lineMs, now, packetsAtOnce, waysAgain } = this.#options;
    if (lineMs < Infinity && waiting >= LIMITS.pipeline.partsWaiting) {
      onSent?.(end, { bytes: 0, packets: 0, isSaid: false });
      return true;
    }
    let data = part;
    const endMs = now() + lineMs;
    const line = { isIn: false };
    const wait = (): Promise<boolean> => {
      // This peer itself may have been given this very array, and what its compute takes is moved away.
      if (!line.isIn) {
        data = part.slice();
        this.#waiting.set(end.peer, waiting + 1);
      }
      line.isIn = true;
      return this.transport.whenWritable(end.peer);
    };
    const nextTurn = async (): Promise<Turn> => {
      if (!(await wait())) return 'gone';
      return lineMs < Infinity && (now() > endMs || isStale?.()) ? 'late' : 'send';
    };
    const { format } = this;
    const columns = rangeWidth(boundary.shape, end.range);
    const wanted = gaps?.get(end.lane);
    let sentBytes = 0;
    const left = new Set<number>();
    let turn: Turn = 'send';
    const sent = wanted ? { sent: wanted.size } : {};
    const head = {
      ...this.#fence,
      kind,
      step,
      micro,
      boundary: boundary.index,
      rows,
      columns,
      format,
      ...sent,
    };
    this.#keep(end.peer, { head, data, packets: wanted });
    try {
      for (const stretch of stretchesOf(format, data.length, packetsAtOnce(end.peer), wanted)) {
        // Parts that wait for the same link take turns, frame by frame: a small one is soon through.
        if (line.isIn) turn = await nextTurn();
        if (turn !== 'send') break;
        const { offset, count } = stretch;
        const frame = encodePart({ ...head, offset, count }, data);
        const frameBytes = frame.length;
        while (turn === 'send' && !this.transport.send(end.peer, 'data', frame)) turn = await nextTurn();
        if (turn !== 'send') break;
        this.traffic.sent(boundary.index, kind, frameBytes);
        sentBytes += frameBytes;
        for (let i = 0; i < stretch.packets; i++) left.add(stretch.first + i);
      }
      const isGone = turn === 'gone';
      const going = isGone ? (wanted ?? allOf(packetsOf(format, data.length))) : left;
      // A link that makes parts wait would be slower yet with copies.
      const ways =
        line.isIn && !isGone
          ? []
          : waysAgain(end.peer, isGone ? going.size * LIMITS.link.pieceBytes : sentBytes);
      let isPassedOn = false;
      for (const [i, by] of ways.entries()) {
        if (by === end.peer && isGone) continue;
        const toLane = by === end.peer ? {} : { toLane: end.lane };
        if (this.#sendAgain(by, { ...head, ...toLane, attempt: i + 1 }, data, going)) isPassedOn = true;
        else if (by === end.peer) break;
      }
      if (isGone) return isPassedOn;
    } finally {
      if (line.isIn) this.#waiting.set(end.peer, this.#waiting.get(end.peer)! - 1);
    }
    const isLate = turn === 'late';
    const isSaid = !isLate && left.size > 0;
    onSent?.(end, { bytes: sentBytes, packets: isLate ? left.size : (wanted?.size ?? null), isSaid });
    return true;
  }

  /** Packets of a part leave in messages of their own; false where the link takes no more at once. */
  #sendAgain(
    to: PeerId,
    head: Omit<PartHead, 'offset' | 'count'>,
    data: Float32Array,
    packets: ReadonlySet<number>,
  ): boolean {
    for (const { offset, count } of stretchesOf(
      head.format,
      data.length,
      this.#options.packetsAtOnce(to),
      packets,
    )) {
      const frame = encodePart({ ...head, offset, count }, data);
      const frameBytes = frame.length;
      if (!this.transport.send(to, 'data', frame)) return false;
      this.traffic.resent(head.boundary, frameBytes);
    }
    return true;
  }
}

const allOf = (packets: number): ReadonlySet<number> =>
  new Set(Array.from({ length: packets }, (_, packet) => packet));

const streamOf = (to: PeerId, kind: PartFrame['kind'], boundary: number): string =>
  `${to}/${kind}/${boundary}`;
