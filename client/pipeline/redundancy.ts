import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';

/** Weight of a new part in the moving averages. */
const WEIGHT = 1 / 16;

/** What a link loses of the packets that go over it for the first time. */
export interface Loss {
  /** What others passed on their way: lost for good, or late because the transport had to send it again, 0 to 1. */
  share: number;
  /** What never comes. */
  gone: number;
  /** The same of parts that follow one of which most is gone: more than `gone` where losses come in a row. */
  afterLoss: number;
}

/** A link, as far as it matters for what goes over it again. */
export interface LossyLink extends Loss {
  /** Data goes slowly there: whatever goes beside it makes it later. */
  isSlow: boolean;
}

export const NO_LOSS: Loss = { share: 0, gone: 0, afterLoss: 0 };

/** The packets of one part: how many were sent, and what is known to have become of them. */
export interface Count {
  readonly sent: number;
  /** In time, or late because their sender was. */
  came: number;
  /** After what was sent later. */
  passed: number;
}

/**
 * What one link loses. Whoever counted a part may add to what came of it, while it is among the last: what its sender was late with is not
 * lost, and a copy would come later yet.
 */
export class LossShare implements Loss {
  /** True once anything came from there, or should have. */
  isKnown = false;
  /** Of parts whose counts do not change any more. */
  #settled = { ...NO_LOSS, wasGone: false };
  /** The parts since, oldest first. */
  readonly #open: Count[] = [];

  get share(): number {
    return this.#averages().share;
  }

  get gone(): number {
    return this.#averages().gone;
  }

  get afterLoss(): number {
    return this.#averages().afterLoss;
  }

  /** Of so many packets of a part so many have come by now. */
  add(sent: number, came: number): Count {
    const count = { sent, came, passed: 0 };
    if (sent <= 0) return count;
    this.isKnown = true;
    this.#open.push(count);
    if (this.#open.length > LIMITS.pipeline.lateParts)
      this.#settled = next(this.#settled, this.#open.shift()!);
    return count;
  }

  /** What the sender is told, if it is worth a word. */
  told(): Loss | undefined {
    const { share, gone, afterLoss } = this.#averages();
    return share < LIMITS.pipeline.lossWorthCopies ? undefined : { share, gone, afterLoss };
  }

  #averages(): Loss {
    return this.#open.reduce(next, this.#settled);
  }
}

/** Moving averages with one part more. */
function next({ share, gone, afterLoss, wasGone }: Loss & { wasGone: boolean }, count: Count) {
  const { sent, came, passed } = count;
  const lost = (sent - came) / sent;
  const lostForGood = Math.max(0, sent - came - passed) / sent;
  return {
    share: share + WEIGHT * (lost - share),
    gone: gone + WEIGHT * (lostForGood - gone),
    afterLoss: wasGone ? afterLoss + WEIGHT * (lostForGood - afterLoss) : afterLoss,
    wasGone: lostForGood > 0.5,
  };
}

/**
 * How often the packets of a part are sent, where parts may be lost and nobody asks for them again: as often as leaves few enough lost, within
 * bounds. What costs little is to come in time, too: partial sums of scores and gradients of the loss, without which a micro-batch does not
 * count. Larger parts go again only where they are gone for good: where the transport sends lost packets again by itself, late ones cost less
 * than twice the traffic would; and on a slow link only where much is gone, and not too often.
 */
export function copiesOf(partBytes: number, { share, gone, isSlow }: Omit<LossyLink, 'afterLoss'>): number {
  const { lossWorthCopies, smallParts, lightParts, mediumParts } = LIMITS.pipeline;
  if (share < lossWorthCopies) return 1;
  if (partBytes <= smallParts.bytes) return enoughOf(share, smallParts);
  if (partBytes > mediumParts.bytes) return 1;
  const { lossLeft, lossLeftIfSlow, copies } = mediumParts;
  if (isSlow) return enoughOf(gone, { lossLeft: lossLeftIfSlow, copies });
  return enoughOf(gone, { lossLeft, copies: partBytes <= lightParts.bytes ? lightParts.copies : copies });
}

function enoughOf(lost: number, { lossLeft, copies }: { lossLeft: number; copies: number }): number {
  if (lost <= lossLeft) return 1;
  return lost < 1 ? Math.min(copies, Math.ceil(Math.log(lossLeft) / Math.log(lost))) : copies;
}

/** How many packets go in one frame: where the link loses some, each is a message of its own, so that only its own numbers go with it. */
export const packetsAtOnce = ({ share }: Pick<Loss, 'share'>): number =>
  share < LIMITS.pipeline.lossWorthCopies ? LIMITS.link.framePackets : 1;

/**
 * By way of whom a part goes again after it has gone straight: straight once more, or first by those who can pass it on, where one loss
 * foretells the next and a way over two links loses less. So an outage of one link costs little.
 * @param others the peers that could pass it on, and what is gone of what goes to them
 */
export function waysAgain(
  to: PeerId,
  partBytes: number,
  link: LossyLink,
  others: readonly { peer: PeerId; gone: number }[],
): PeerId[] {
  const copies = copiesOf(partBytes, link);
  const { detours, lossWorthCopies, mediumParts } = LIMITS.pipeline;
  const around = others
    .filter(({ gone }) => link.gone >= lossWorthCopies && 1 - (1 - gone) ** 2 < link.afterLoss)
    .sort((a, b) => a.gone - b.gone)
    .slice(0, partBytes <= mediumParts.bytes ? detours : 1)
    .map(({ peer }) => peer);
  const straight = Array.from({ length: Math.max(0, copies - 1 - around.length) }, () => to);
  return [...around, ...straight];
}
