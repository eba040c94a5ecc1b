import type { BlockSegment } from '../ports/compute.ts';
import { busySegments } from './block-plan.ts';

/**
 * The passes of a micro-batch through a block: forward through the segments that are not idle, in order, and in training back again.
 * Each reads what those before it left, so none may come before its turn.
 */
export class PassOrder {
  private readonly busy: readonly number[];

  constructor(private readonly segments: readonly BlockSegment[]) {
    this.busy = busySegments(segments);
  }

  isFirst(segment: number): boolean {
    return segment === this.busy[0];
  }

  isOver(passesRun: number, training: boolean): boolean {
    return passesRun === this.busy.length * (training ? 2 : 1);
  }

  /** Refuses a forward whose turn it is not; `where` names the micro-batch and the layers. */
  assertForward(segment: number, passesRun: number, where: string): void {
    const place = this.placeOf(segment, where);
    if (place < passesRun) throw new Error(`Forward of ${where} was already done.`);
    if (place > passesRun)
      throw new Error(
        `Forward of ${where} came to segment ${segment} before segment ${this.busy[passesRun]}.`,
      );
  }

  assertBackward(segment: number, passesRun: number, where: string): void {
    const place = this.placeOf(segment, where);
    if (place >= passesRun) throw new Error(`Backward of ${where} has no forward to go back over.`);
    const last = this.busy.length - 1;
    const next = Math.min(last, last + this.busy.length - passesRun);
    if (place > next) throw new Error(`Backward of ${where} was already done.`);
    if (place < next)
      throw new Error(`Backward of ${where} came to segment ${segment} before segment ${this.busy[next]}.`);
  }

  /** How many passes are behind a micro-batch whose next one is the backward before `segment`. */
  passesWithout(segment: number, where: string): number {
    return 2 * this.busy.length - this.placeOf(segment, where);
  }

  private placeOf(segment: number, where: string): number {
    const place = this.busy.indexOf(segment);
    if (place >= 0) return place;
    throw new Error(
      segment in this.segments
        ? `Segment ${segment} of ${where} is idle: there is nothing to run.`
        : `There is no segment ${segment} of ${where}.`,
    );
  }
}
