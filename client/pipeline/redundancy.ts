import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';

/** Weight of a new part in the moving averages. */
const WEIGHT = 1 / 16;

/** What a link loses. */
export interface Loss {
  /** Of all packets, 0 to 1. */
  share: number;
  /** The same of parts that follow one of which most was lost: more than `share` where losses come in a row. */
  afterLoss: number;
}

export const NO_LOSS: Loss = { share: 0, afterLoss: 0 };

/** The packets of one part: how many were sent, and how many of them the link did not lose, as far as is known. */
export interface Count {
  readonly sent: number;
  came: number;
}

/**
 * What share of the packets of one link is lost, of those that came for the first time: copies are there to make good for it. Whoever
 * counted a part may add to what came of it, while it is among the last: what its sender was late with is not lost, and a copy would come later yet.
 */
export class LossShare implements Loss {
  /** True once anything came from there, or should have. */
  isKnown = false;
  /** Of parts whose counts do not change any more. */
  #settled = { ...NO_LOSS, wasLost: false };
  /** The parts since, oldest first. */
  readonly #open: Count[] = [];

  get share(): number {
    return this.#averages().share;
  }

  get afterLoss(): number {
    return this.#averages().afterLoss;
  }

  /** Of so many packets of a part so many have come by now. */
  add(sent: number, came: number): Count {
    const count = { sent, came };
    if (sent <= 0) return count;
    this.isKnown = true;
    this.#open.push(count);
    if (this.#open.length > LIMITS.pipeline.lateParts)
      this.#settled = next(this.#settled, this.#open.shift()!);
    return count;
  }

  /** What the sender is told, if it is worth a word. */
  told(): Loss | undefined {
    const { share, afterLoss } = this.#averages();
    return share < LIMITS.pipeline.lossWorthCopies ? undefined : { share, afterLoss };
  }

  #averages(): Loss {
    return this.#open.reduce(next, this.#settled);
  }
}

/** Moving averages with one part more. */
function next({ share, afterLoss, wasLost }: Loss & { wasLost: boolean }, { sent, came }: Count) {
  const lost = (sent - came) / sent;
  return {
    share: share + WEIGHT * (lost - share),
    afterLoss: wasLost ? afterLoss + WEIGHT * (lost - afterLoss) : afterLoss,
    wasLost: lost > 0.5,
  };
}

/**
 * How often the packets of a part are sent, where parts may be lost and nobody asks for them again: as often as leaves few enough lost, within
 * bounds. What costs little is to come more surely: partial sums of scores and gradients of the loss, without which a micro-batch does not count.
 */
export function copiesOf(partBytes: number, lossShare: number): number {
  const { lossWorthCopies, smallParts, mediumParts } = LIMITS.pipeline;
  if (lossShare < lossWorthCopies) return 1;
  const of = [smallParts, mediumParts].find(({ bytes }) => partBytes <= bytes);
  if (!of) return 1;
  const enough = lossShare < 1 ? Math.ceil(Math.log(of.lossLeft) / Math.log(lossShare)) : Infinity;
  return Math.max(1, Math.min(of.copies, enough));
}

/** How many packets go in one frame: where the link loses some, each is a message of its own, so that only its own numbers go with it. */
export const packetsAtOnce = ({ share }: Loss): number =>
  share < LIMITS.pipeline.lossWorthCopies ? LIMITS.link.framePackets : 1;

/**
 * By way of whom a part goes again after it has gone straight: straight once more, or first by those who can pass it on, where one loss
 * foretells the next and a way over two links loses less. So an outage of one link costs little.
 * @param others the peers that could pass it on
 */
export function waysAgain(
  to: PeerId,
  partBytes: number,
  link: Loss,
  others: readonly { peer: PeerId; share: number }[],
): PeerId[] {
  const copies = copiesOf(partBytes, link.share);
  const { detours, lossWorthCopies, mediumParts } = LIMITS.pipeline;
  const around = others
    .filter(({ share }) => link.share >= lossWorthCopies && 1 - (1 - share) ** 2 < link.afterLoss)
    .sort((a, b) => a.share - b.share)
    .slice(0, partBytes <= mediumParts.bytes ? detours : 1)
    .map(({ peer }) => peer);
  const straight = Array.from({ length: Math.max(0, copies - 1 - around.length) }, () => to);
  return [...around, ...straight];
}
