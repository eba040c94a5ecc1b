import { encodeFrame, PART_FRAME_NUMBERS, type PartFrame } from '../../shared/frames.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Transport } from '../ports/transport.ts';
import { planTag, type BoundaryView } from './assignment.ts';

/** Sends parts of one plan to the lanes beyond a boundary, straight from peer to peer. */
export class Outbox {
  readonly #fence: Pick<PartFrame, 'term' | 'version' | 'planTag' | 'lane'>;

  constructor(
    private readonly transport: Transport,
    plan: Plan,
    lane: number,
  ) {
    this.#fence = { term: plan.term.counter, version: plan.version, planTag: planTag(plan), lane };
  }

  /** Resolves when every frame is queued; `false` where a link is gone and the part is lost there. */
  async send(
    kind: PartFrame['kind'],
    boundary: BoundaryView,
    at: { step: number; micro: number; rows: number },
    data: Float32Array,
  ): Promise<boolean> {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const sent = await Promise.all(
      boundary.lanes.map(async ({ peer }) => {
        for (let offset = 0; offset < data.length; offset += PART_FRAME_NUMBERS) {
          const payload = bytes.subarray(offset * 4, Math.min(offset + PART_FRAME_NUMBERS, data.length) * 4);
          const frame: PartFrame = {
            ...this.#fence,
            kind,
            ...at,
            boundary: boundary.index,
            columns: boundary.width,
            offset,
            payload,
          };
          while (!this.transport.send(peer, 'data', encodeFrame(frame))) {
            if (!(await this.transport.whenWritable(peer))) return false;
          }
        }
        return true;
      }),
    );
    return sent.every(Boolean);
  }
}
