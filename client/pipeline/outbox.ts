import { encodePart, PART_FRAME_NUMBERS, type PartFrame } from '../../shared/frames.ts';
import type { WireFormat } from '../../shared/wire.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Transport } from '../ports/transport.ts';
import { planTag, type BoundaryView, type LaneEnd } from './assignment.ts';
import { rangeWidth, takeRange } from './parts.ts';
import type { Traffic } from './traffic.ts';

/** What leaves a block at a boundary. */
export interface Departure {
  kind: PartFrame['kind'];
  boundary: BoundaryView;
  /** Where it may go: not to lanes whose part was missing on the way there. */
  ends: readonly LaneEnd[];
  step: number;
  micro: number;
  rows: number;
  /** The register on this side of the boundary. */
  data: Float32Array;
  /** All of a part is queued: its bytes, frame headers included. */
  onSent?: (end: LaneEnd, bytes: number) => void;
}

/** Sends parts of one plan to the lanes beyond a boundary, straight from peer to peer; what is for this peer itself stays here. */
export class Outbox {
  readonly #fence: Pick<PartFrame, 'term' | 'version' | 'planTag' | 'lane'>;

  constructor(
    private readonly transport: Transport,
    plan: Plan,
    lane: number,
    private readonly format: WireFormat,
    private readonly traffic: Traffic,
    /** A part for this very peer. */
    private readonly keep: (departure: Departure, data: Float32Array) => void,
  ) {
    this.#fence = { term: plan.term.counter, version: plan.version, planTag: planTag(plan), lane };
  }

  /** Resolves when every frame is queued; `false` where a link is gone and the part is lost there. */
  async send(departure: Departure): Promise<boolean> {
    const { boundary, ends, rows, data } = departure;
    const sent = ends.map((end) => {
      const part = takeRange(data, rows, boundary.shape, boundary.held, end.range);
      if (end.peer === this.transport.self) {
        this.keep(departure, part);
        return Promise.resolve(true);
      }
      return this.#sendPart(end, departure, part);
    });
    return (await Promise.all(sent)).every(Boolean);
  }

  async #sendPart(
    end: LaneEnd,
    { kind, boundary, step, micro, rows, onSent }: Departure,
    part: Float32Array,
  ): Promise<boolean> {
    let data = part;
    let hasWaited = false;
    const { format } = this;
    const columns = rangeWidth(boundary.shape, end.range);
    let sentBytes = 0;
    const most = PART_FRAME_NUMBERS[format];
    const head = { ...this.#fence, kind, step, micro, boundary: boundary.index, rows, columns, format };
    for (let offset = 0; offset < data.length; offset += most) {
      // Parts that wait for the same link take turns, frame by frame: a small one is soon through.
      if (hasWaited && !(await this.transport.whenWritable(end.peer))) return false;
      const count = Math.min(most, data.length - offset);
      const frame = encodePart({ ...head, offset, count }, data);
      const frameBytes = frame.length;
      while (!this.transport.send(end.peer, 'data', frame)) {
        // This peer itself may have been given this very array, and what its compute takes is moved away.
        if (!hasWaited) data = part.slice();
        hasWaited = true;
        if (!(await this.transport.whenWritable(end.peer))) return false;
      }
      this.traffic.sent(boundary.index, kind, frameBytes);
      sentBytes += frameBytes;
    }
    onSent?.(end, sentBytes);
    return true;
  }
}
