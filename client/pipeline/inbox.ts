import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { PART_FRAME_NUMBERS, type PartFrame } from '../../shared/frames.ts';
import type { BoundaryView } from './assignment.ts';

/** What an inbox may take: everything else is refused with a reason. */
export interface Expectation {
  kind: PartFrame['kind'];
  boundary: BoundaryView;
  /** Rows of a micro-batch. */
  rows(micro: number): number;
  micros: number;
  /** Steps (or rounds) [first, last] for which parts may come now. */
  window(): [first: number, last: number];
}

interface Part {
  data: Float32Array;
  bytes: Uint8Array;
  framesSeen: Set<number>;
  frames: number;
}

/** Puts the frames of parts together for one boundary and direction. Bounded, and safe against anything a peer sends. */
export class Inbox {
  readonly #parts = new Map<string, Part>();
  #bytes = 0;

  constructor(private readonly expected: Expectation) {}

  /** Null when taken (or seen before); otherwise why the frame is refused, as a short stable word. */
  add(from: PeerId, frame: PartFrame): string | null {
    const complaint = this.#complaint(from, frame);
    if (complaint) return complaint;
    const key = keyOf(frame.step, frame.micro, frame.lane);
    const part = this.#parts.get(key) ?? this.#begin(key, frame);
    if (!part) return 'inbox-full';
    const index = frame.offset / PART_FRAME_NUMBERS;
    if (part.framesSeen.has(index)) return null;
    part.bytes.set(frame.payload, frame.offset * 4);
    if (!allFinite(part.data.subarray(frame.offset, frame.offset + frame.payload.length / 4))) {
      return 'part-not-finite';
    }
    part.framesSeen.add(index);
    return null;
  }

  /** True when the parts of all lanes are whole. */
  has(step: number, micro: number): boolean {
    return this.expected.boundary.lanes.every(({ lane }) => {
      const part = this.#parts.get(keyOf(step, micro, lane));
      return part !== undefined && part.framesSeen.size === part.frames;
    });
  }

  /** The numbers of a whole micro-batch, [rows, width]; they leave the inbox. */
  take(step: number, micro: number): Float32Array {
    if (!this.has(step, micro))
      throw new Error(`The parts of step ${step}, micro-batch ${micro} are not whole.`);
    const key = keyOf(step, micro, this.expected.boundary.lanes[0].lane);
    const { data } = this.#parts.get(key)!;
    this.#parts.delete(key);
    this.#bytes -= data.byteLength;
    return data;
  }

  clear(): void {
    this.#parts.clear();
    this.#bytes = 0;
  }

  #begin(key: string, frame: PartFrame): Part | null {
    const numbers = frame.rows * frame.columns;
    const full = this.#parts.size >= LIMITS.pipeline.inboxParts;
    if (full || this.#bytes + numbers * 4 > LIMITS.pipeline.inboxBytes) return null;
    const data = new Float32Array(numbers);
    const part: Part = {
      data,
      bytes: new Uint8Array(data.buffer),
      framesSeen: new Set(),
      frames: Math.ceil(numbers / PART_FRAME_NUMBERS),
    };
    this.#parts.set(key, part);
    this.#bytes += data.byteLength;
    return part;
  }

  #complaint(from: PeerId, frame: PartFrame): string | null {
    const { kind, boundary, micros } = this.expected;
    const lane = boundary.lanes.find((end) => end.lane === frame.lane);
    if (frame.kind !== kind || frame.boundary !== boundary.index) return 'part-wrong-boundary';
    if (lane?.peer !== from) return 'part-wrong-sender';
    const [first, last] = this.expected.window();
    if (frame.step < first || frame.step > last) return 'part-wrong-step';
    if (frame.micro >= micros) return 'part-wrong-micro';
    if (frame.rows !== this.expected.rows(frame.micro) || frame.columns !== boundary.width) {
      return 'part-wrong-shape';
    }
    const numbers = frame.payload.length / 4;
    const left = frame.rows * frame.columns - frame.offset;
    const wholeFrame = numbers === Math.min(PART_FRAME_NUMBERS, left);
    if (frame.offset % PART_FRAME_NUMBERS !== 0 || !wholeFrame) return 'part-wrong-frame';
    return null;
  }
}

const keyOf = (step: number, micro: number, lane: number): string => `${step}/${micro}/${lane}`;

function allFinite(numbers: Float32Array): boolean {
  let sum = 0;
  // x - x is 0 for a finite x and NaN otherwise.
  for (const x of numbers) sum += x - x;
  return sum === 0;
}
