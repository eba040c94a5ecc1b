import { LIMITS } from '../../shared/limits.ts';

/** Weight of a new part in the moving average. */
const WEIGHT = 1 / 16;

/** What share of the frames of one link is lost, of those that came for the first time: copies are there to make good for it. */
export class LossShare {
  share = 0;

  /** Of so many frames of a part so many came in time. */
  add(sent: number, came: number): void {
    if (sent > 0) this.share += WEIGHT * ((sent - came) / sent - this.share);
  }
}

/**
 * How often the frames of a part are sent, where parts may be lost and nobody asks for them again: once on a link that loses next to nothing.
 * What costs little goes more often: partial sums of scores and gradients of the loss, without which a micro-batch does not count.
 */
export function copiesOf(partBytes: number, lossShare: number): number {
  const { lossWorthCopies, smallPartBytes, smallPartCopies, mediumPartBytes, mediumPartCopies } =
    LIMITS.pipeline;
  if (lossShare < lossWorthCopies) return 1;
  if (partBytes <= smallPartBytes) return smallPartCopies;
  return partBytes <= mediumPartBytes ? mediumPartCopies : 1;
}
