import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { PartFrame } from '../../shared/frames.ts';
import { packetsOf, PART_HEADER_BYTES, stretchAt, type Stretch } from '../../shared/packets.ts';
import type { BoundaryView, LaneEnd } from './assignment.ts';
import { Deadlines } from './deadlines.ts';
import { releaseNumbers, takeZeros } from '../../shared/number-pool.ts';
import { readNumbers, type WireFormat } from '../../shared/wire.ts';
import { addRange, rangeWidth } from './parts.ts';
import type { Patience } from './patience.ts';
import type { Count } from './redundancy.ts';

/** What an inbox may take: everything else is refused with a reason. */
export interface Expectation {
  kind: PartFrame['kind'];
  boundary: BoundaryView;
  format: WireFormat;
  /** Rows of a micro-batch. */
  rows(micro: number): number;
  micros: number;
  /** Steps (or rounds) [first, last] for which parts may come now. */
  window(): [first: number, last: number];
  /** The time in milliseconds, where somebody wants to know when parts came. */
  now?: () => number;
  /** The last frame of a part came. */
  onWhole?: (part: WholePart) => void;
  /** How long parts are waited for; left out: until they come. */
  patience?: Patience | undefined;
  /** Packets of a part of that lane are wanted once more (none are named: all of them). */
  onMissing?: (end: LaneEnd, step: number, micro: number, packets: number[], attempt: number) => void;
  /** What came of a part when it was used, in packets; of one of this peer itself only where it is missing. */
  onUsed?: (end: LaneEnd, wanted: number, sent: number, used: number) => void;
}

/** How a part came. */
export interface WholePart {
  step: number;
  micro: number;
  end: LaneEnd;
  /** Frame headers included. */
  bytes: number;
  /** When its first frame came; 0 where nobody wants to know. */
  startMs: number;
}

/** The numbers that came for one micro-batch, put together. */
export interface Arrival {
  /** [rows, width of the positions held]; zero where nothing came. */
  data: Float32Array;
  /** By lane, of parts that are not whole: the packets that came. */
  gaps: ReadonlyMap<number, ReadonlySet<number>>;
  /** Nothing came from anybody. */
  isEmpty: boolean;
}

interface Part {
  data: Float32Array;
  seen: Set<number>;
  /** Packets of which the first copy came. */
  firstCopies: number;
  packets: number;
  /** Of the frames that came, headers included. */
  bytesCame: number;
  /** When frames of it came. */
  startMs: number;
  lastMs: number;
}

/**
 * Puts the frames of parts together for one boundary and direction, and the parts of all lanes to one register: each is added to
 * zeros at its positions, which places slices and sums partial sums. Bounded, and safe against anything a peer sends. Micro-batches are
 * taken in order; a part, or a packet of one, that has missed its deadline by then is lost, and what comes later is dropped.
 */
export class Inbox {
  readonly #parts = new Map<string, Part>();
  readonly #deadlines: Deadlines;
  /** Of parts done with lately: those of which some packets had not come for the first time. */
  readonly #short = new Map<string, Count>();
  #bytes = 0;
  /** Micro-batches, counted through all steps, before this one are done with. */
  #next = 0;

  constructor(private readonly expected: Expectation) {
    const { boundary, micros, patience, onMissing } = expected;
    this.#deadlines = new Deadlines({
      ends: boundary.ends,
      patience: patience ?? null,
      came: (sequence, lane) => this.#parts.get(keyOf(sequence, lane)),
      window: () => {
        const [first, last] = expected.window();
        return [Math.max(this.#next, first * micros), (last + 1) * micros];
      },
      onMissing: (end, sequence, packets, attempt) =>
        onMissing?.(end, Math.floor(sequence / micros), sequence % micros, packets, attempt),
    });
  }

  /** Null when taken (or seen before, or late); otherwise why the frame is refused, as a short stable word. */
  add(from: PeerId, frame: PartFrame): string | null {
    const numbers = frame.rows * frame.columns;
    const stretch = stretchAt(frame.format, numbers, frame);
    const complaint = this.#complaint(from, frame, stretch);
    if (complaint || !stretch) return complaint;
    const end = this.#endOf(frame.lane)!;
    const sequence = this.#sequence(frame.step, frame.micro);
    const isInOrder = this.#deadlines.isInOrder(end.lane, sequence);
    this.#deadlines.advance(end.lane, sequence);
    const [first, last] = this.expected.window();
    const isInWindow = frame.step >= first && frame.step <= last;
    if (sequence < this.#next || !isInWindow) {
      if (sequence < this.#next)
        this.#noteLate(end.lane, sequence, frame.attempt ? 0 : stretch.packets, isInOrder);
      return isInWindow || this.expected.patience ? null : 'part-wrong-step';
    }
    if (frame.sent !== undefined) this.#deadlines.sendsFewer(end.lane, sequence, frame.sent);
    const part = this.#parts.get(keyOf(sequence, frame.lane)) ?? this.#begin(sequence, frame.lane, numbers);
    if (!part) return 'inbox-full';
    if (!frame.attempt) part.firstCopies += stretch.packets;
    const packets = Array.from({ length: stretch.packets }, (_, i) => stretch.first + i);
    if (packets.every((packet) => part.seen.has(packet))) return null;
    if (!readNumbers(frame.format, frame.payload, frame, part.data)) {
      part.data.fill(0, frame.offset, frame.offset + frame.count);
      for (const packet of packets) part.seen.delete(packet);
      return 'part-not-finite';
    }
    for (const packet of packets) part.seen.add(packet);
    part.bytesCame += PART_HEADER_BYTES + frame.payload.length;
    part.lastMs = this.expected.now?.() ?? 0;
    if (part.seen.size === part.packets) {
      const { bytesCame: bytes, startMs } = part;
      this.#deadlines.noteWhole(end.lane, sequence);
      this.expected.onWhole?.({ step: frame.step, micro: frame.micro, end, bytes, startMs });
    }
    return null;
  }

  /** A whole part that this peer sent to itself; the inbox has the array from then on. */
  addOwn(step: number, micro: number, lane: number, data: Float32Array): void {
    const part = newPart(data, 0, 0);
    const sequence = this.#sequence(step, micro);
    this.#parts.set(keyOf(sequence, lane), part);
    this.#bytes += data.byteLength;
    this.#deadlines.advanceOwn(lane, sequence);
  }

  /**
   * A peer says that its parts up to a micro-batch have left, and of some of them not all packets. Null when taken, otherwise why it is
   * refused.
   */
  hear(
    from: PeerId,
    lane: number,
    step: number,
    micro: number,
    fewer: readonly { step: number; micro: number; packets: number }[],
  ): string | null {
    const { micros } = this.expected;
    if (this.#endOf(lane)?.peer !== from) return 'part-wrong-sender';
    if (micro >= micros || fewer.some((item) => item.micro >= micros)) return 'part-wrong-micro';
    for (const item of fewer)
      this.#deadlines.sendsFewer(lane, this.#sequence(item.step, item.micro), item.packets);
    this.#deadlines.advance(lane, this.#sequence(step, micro));
    return null;
  }

  /** True when the parts of all lanes are whole, or lost. */
  has(step: number, micro: number): boolean {
    return this.dueMs(step, micro) <= (this.expected.patience?.now() ?? 0);
  }

  /** When a micro-batch goes on without what is missing by then; Infinity where nothing says that the rest is on its way. */
  dueMs(step: number, micro: number): number {
    return this.#deadlines.dueMs(this.#sequence(step, micro));
  }

  /** Asks again for what should have come; gives when the next request is due, Infinity for never. */
  chase(): number {
    return this.#deadlines.chase();
  }

  /** True where every other lane has passed a micro-batch: whatever this block made of it now would come too late. */
  isPassed(step: number, micro: number, self: PeerId): boolean {
    return this.#deadlines.isPassed(this.#sequence(step, micro), self);
  }

  /** The numbers of a micro-batch that `has` said are here; they leave the inbox. */
  take(step: number, micro: number): Arrival {
    if (!this.has(step, micro))
      throw new Error(`The parts of step ${step}, micro-batch ${micro} are not whole.`);
    const { shape, held, ends } = this.expected.boundary;
    const rows = this.expected.rows(micro);
    const sequence = this.#sequence(step, micro);
    const gaps = this.#close(sequence, rows);
    const only = ends.length === 1 && gaps.size === 0 && coversAll(ends[0], held);
    const register = only ? null : takeZeros(rows * rangeWidth(shape, held));
    let data: Float32Array = register ?? new Float32Array();
    let isEmpty = true;
    for (const end of ends) {
      const key = keyOf(sequence, end.lane);
      const part = this.#parts.get(key);
      if (!part) continue;
      this.#parts.delete(key);
      this.#bytes -= part.data.byteLength;
      if (gaps.get(end.lane)?.size === 0) continue;
      isEmpty = false;
      if (!register) {
        data = part.data;
        continue;
      }
      addRange(register, part.data, rows, shape, held, end.range);
      releaseNumbers(part.data);
    }
    return { data, gaps, isEmpty };
  }

  /** Lets go of a micro-batch whose parts are not needed here. */
  skip(step: number, micro: number): void {
    const sequence = this.#sequence(step, micro);
    for (const { lane } of this.expected.boundary.ends) {
      const key = keyOf(sequence, lane);
      this.#bytes -= this.#parts.get(key)?.data.byteLength ?? 0;
      this.#parts.delete(key);
    }
    this.#deadlines.close(sequence);
    this.#next = sequence + 1;
  }

  /** Lets go of all that comes before a micro-batch. */
  skipTo(step: number, micro: number): void {
    this.#next = this.#sequence(step, micro);
    for (const [key, { data }] of this.#parts) {
      if (Number.parseInt(key, 10) >= this.#next) continue;
      this.#bytes -= data.byteLength;
      this.#parts.delete(key);
    }
  }

  clear(): void {
    this.#parts.clear();
    this.#bytes = 0;
  }

  /** A micro-batch is done with: what came of whose part is not whole, and what that says about the lanes. */
  #close(sequence: number, rows: number): Map<number, ReadonlySet<number>> {
    const { boundary, format, onUsed, patience } = this.expected;
    const gaps = new Map<number, ReadonlySet<number>>();
    for (const end of boundary.ends) {
      const { lane, range } = end;
      const part = this.#parts.get(keyOf(sequence, lane));
      if (part?.packets === 0) continue;
      const whole = packetsOf(format, rows * rangeWidth(boundary.shape, range));
      const came = part?.seen.size ?? 0;
      const sent = this.#deadlines.packetsSent(lane, sequence, whole);
      if (came < whole) gaps.set(lane, part?.seen ?? new Set());
      if (came < sent) this.#deadlines.noteLost(lane, sequence);
      const firstCopies = Math.min(sent, part?.firstCopies ?? 0);
      const count = patience?.lossOf(end.peer).add(sent, firstCopies);
      if (count && firstCopies < sent) this.#short.set(keyOf(sequence, lane), count);
      this.#short.delete(keyOf(sequence - LIMITS.pipeline.lateParts, lane));
      onUsed?.(end, whole, sent, came);
    }
    this.#deadlines.close(sequence);
    this.#next = sequence + 1;
    return gaps;
  }

  /**
   * A frame came of a part that is done with, so many packets of it for the first time. In order its sender, not the link, was slow with
   * them: that is no loss, and a copy comes no sooner.
   */
  #noteLate(lane: number, sequence: number, packets: number, isInOrder: boolean): void {
    this.#deadlines.noteLate(lane, sequence);
    const count = this.#short.get(keyOf(sequence, lane));
    if (!count) return;
    if (isInOrder) count.came = Math.min(count.sent, count.came + packets);
    else count.passed += packets;
  }

  #begin(sequence: number, lane: number, numbers: number): Part | null {
    const full = this.#parts.size >= LIMITS.pipeline.inboxParts;
    if (full || this.#bytes + numbers * 4 > LIMITS.pipeline.inboxBytes) return null;
    const packets = packetsOf(this.expected.format, numbers);
    const part = newPart(takeZeros(numbers), packets, this.expected.now?.() ?? 0);
    this.#parts.set(keyOf(sequence, lane), part);
    this.#bytes += part.data.byteLength;
    return part;
  }

  #endOf(lane: number): LaneEnd | undefined {
    return this.expected.boundary.ends.find((end) => end.lane === lane);
  }

  #sequence(step: number, micro: number): number {
    return step * this.expected.micros + micro;
  }

  #complaint(from: PeerId, frame: PartFrame, stretch: Stretch | null): string | null {
    const { kind, boundary, format, micros } = this.expected;
    if (frame.kind !== kind || frame.boundary !== boundary.index) return 'part-wrong-boundary';
    const end = this.#endOf(frame.lane);
    if (end?.peer !== from) return 'part-wrong-sender';
    if (frame.micro >= micros) return 'part-wrong-micro';
    if (
      frame.rows !== this.expected.rows(frame.micro) ||
      frame.columns !== rangeWidth(boundary.shape, end.range)
    ) {
      return 'part-wrong-shape';
    }
    if (frame.format !== format) return 'part-wrong-format';
    return stretch ? null : 'part-wrong-frame';
  }
}

const newPart = (data: Float32Array, packets: number, nowMs: number): Part => ({
  data,
  packets,
  seen: new Set(),
  firstCopies: 0,
  bytesCame: 0,
  startMs: nowMs,
  lastMs: nowMs,
});

const coversAll = ({ range }: LaneEnd, held: LaneEnd['range']): boolean =>
  range[0] === held[0] && range[1] === held[1];

const keyOf = (sequence: number, lane: number): string => `${sequence}/${lane}`;
