import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { PART_FRAME_NUMBERS, PART_HEADER_BYTES, type PartFrame } from '../../shared/frames.ts';
import type { BoundaryView, LaneEnd } from './assignment.ts';
import { readNumbers, type WireFormat } from '../../shared/wire.ts';
import { addRange, rangeWidth } from './parts.ts';

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
  /** For experiments: parts that count as lost, whether or not they come. */
  isLost?(step: number, micro: number, end: LaneEnd): boolean;
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
  /** Lanes whose part is missing. */
  missing: number[];
}

interface Part {
  data: Float32Array;
  framesSeen: Set<number>;
  frames: number;
  /** Of the frames that came, headers included. */
  bytesCame: number;
  startMs: number;
}

/**
 * Puts the frames of parts together for one boundary and direction, and the parts of all lanes to one register: each is added to
 * zeros at its positions, which places slices and sums partial sums. Bounded, and safe against anything a peer sends.
 */
export class Inbox {
  readonly #parts = new Map<string, Part>();
  #bytes = 0;

  constructor(private readonly expected: Expectation) {}

  /** Null when taken (or seen before); otherwise why the frame is refused, as a short stable word. */
  add(from: PeerId, frame: PartFrame): string | null {
    const complaint = this.#complaint(from, frame);
    if (complaint) return complaint;
    const end = this.#endOf(frame.lane)!;
    if (this.#isLost(frame.step, frame.micro, end)) return null;
    const key = keyOf(frame.step, frame.micro, frame.lane);
    const part = this.#parts.get(key) ?? this.#begin(key, frame.rows * frame.columns);
    if (!part) return 'inbox-full';
    const index = frame.offset / PART_FRAME_NUMBERS[frame.format];
    if (part.framesSeen.has(index)) return null;
    if (!readNumbers(frame.format, frame.payload, frame, part.data)) return 'part-not-finite';
    part.framesSeen.add(index);
    part.bytesCame += PART_HEADER_BYTES + frame.payload.length;
    if (part.framesSeen.size === part.frames) {
      const { bytesCame: bytes, startMs } = part;
      this.expected.onWhole?.({ step: frame.step, micro: frame.micro, end, bytes, startMs });
    }
    return null;
  }

  /** A whole part that this peer sent to itself. */
  addOwn(step: number, micro: number, lane: number, data: Float32Array): void {
    const part: Part = { data, framesSeen: new Set(), frames: 0, bytesCame: 0, startMs: 0 };
    this.#parts.set(keyOf(step, micro, lane), part);
    this.#bytes += data.byteLength;
  }

  /** True when the parts of all lanes are whole, or known to be lost. */
  has(step: number, micro: number): boolean {
    return this.expected.boundary.ends.every((end) => {
      const part = this.#parts.get(keyOf(step, micro, end.lane));
      return (part !== undefined && part.framesSeen.size === part.frames) || this.#isLost(step, micro, end);
    });
  }

  /** The numbers of a micro-batch that `has` said are here; they leave the inbox. */
  take(step: number, micro: number): Arrival {
    if (!this.has(step, micro))
      throw new Error(`The parts of step ${step}, micro-batch ${micro} are not whole.`);
    const { shape, held, ends } = this.expected.boundary;
    const rows = this.expected.rows(micro);
    const missing = ends
      .filter((end) => !this.#parts.has(keyOf(step, micro, end.lane)))
      .map(({ lane }) => lane);
    const only = ends.length === 1 && missing.length === 0 && coversAll(ends[0], held);
    const register = only ? null : new Float32Array(rows * rangeWidth(shape, held));
    let data: Float32Array = register ?? new Float32Array();
    for (const end of ends) {
      const key = keyOf(step, micro, end.lane);
      const part = this.#parts.get(key);
      if (!part) continue;
      this.#parts.delete(key);
      this.#bytes -= part.data.byteLength;
      if (register) addRange(register, part.data, rows, shape, held, end.range);
      else data = part.data;
    }
    return { data, missing };
  }

  clear(): void {
    this.#parts.clear();
    this.#bytes = 0;
  }

  #begin(key: string, numbers: number): Part | null {
    const full = this.#parts.size >= LIMITS.pipeline.inboxParts;
    if (full || this.#bytes + numbers * 4 > LIMITS.pipeline.inboxBytes) return null;
    const data = new Float32Array(numbers);
    const part: Part = {
      data,
      framesSeen: new Set(),
      frames: Math.ceil(numbers / PART_FRAME_NUMBERS[this.expected.format]),
      bytesCame: 0,
      startMs: this.expected.now?.() ?? 0,
    };
    this.#parts.set(key, part);
    this.#bytes += data.byteLength;
    return part;
  }

  #endOf(lane: number): LaneEnd | undefined {
    return this.expected.boundary.ends.find((end) => end.lane === lane);
  }

  #isLost(step: number, micro: number, end: LaneEnd): boolean {
    return this.expected.isLost?.(step, micro, end) ?? false;
  }

  #complaint(from: PeerId, frame: PartFrame): string | null {
    const { kind, boundary, format, micros } = this.expected;
    if (frame.kind !== kind || frame.boundary !== boundary.index) return 'part-wrong-boundary';
    const end = this.#endOf(frame.lane);
    if (end?.peer !== from) return 'part-wrong-sender';
    const [first, last] = this.expected.window();
    if (frame.step < first || frame.step > last) return 'part-wrong-step';
    if (frame.micro >= micros) return 'part-wrong-micro';
    if (
      frame.rows !== this.expected.rows(frame.micro) ||
      frame.columns !== rangeWidth(boundary.shape, end.range)
    ) {
      return 'part-wrong-shape';
    }
    if (frame.format !== format) return 'part-wrong-format';
    const most = PART_FRAME_NUMBERS[format];
    const wholeFrame = frame.count === Math.min(most, frame.rows * frame.columns - frame.offset);
    if (frame.offset % most !== 0 || !wholeFrame) return 'part-wrong-frame';
    return null;
  }
}

const coversAll = ({ range }: LaneEnd, held: LaneEnd['range']): boolean =>
  range[0] === held[0] && range[1] === held[1];

const keyOf = (step: number, micro: number, lane: number): string => `${step}/${micro}/${lane}`;
