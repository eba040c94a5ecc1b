import type { Ledger } from './ledger.ts';

interface Fate {
  isPartial: boolean;
  /** Some gradient came, or was made here at the loss. */
  isReached: boolean;
  /** Segments from here on are left out. */
  skippedFrom: number;
}

/** What becomes of the micro-batches under way at one block, counted on through the steps of a plan. */
export class Fates {
  readonly #fates = new Map<number, Fate>();
  /** By step: micro-batches that are not skipped, of those that have ended. */
  readonly #counted = new Map<number, number>();

  constructor(
    private readonly ledger: Ledger,
    private readonly microBatches: number,
  ) {}

  begin(micro: number, staleness: number): void {
    this.ledger.begin(staleness);
    this.#fates.set(micro, { isPartial: false, isReached: false, skippedFrom: Infinity });
  }

  /** Something of it was missing. */
  notePartial(micro: number): void {
    this.#fates.get(micro)!.isPartial = true;
  }

  noteReached(micro: number): void {
    this.#fates.get(micro)!.isReached = true;
  }

  isReached(micro: number): boolean {
    return this.#fates.get(micro)!.isReached;
  }

  skip(micro: number, segment: number): void {
    const fate = this.#fates.get(micro)!;
    fate.skippedFrom = Math.min(fate.skippedFrom, segment);
    fate.isPartial = true;
  }

  isSkipped(micro: number, segment: number): boolean {
    return segment >= (this.#fates.get(micro)?.skippedFrom ?? Infinity);
  }

  end(micro: number): void {
    const { isPartial, isReached, skippedFrom } = this.#fates.get(micro)!;
    this.#fates.delete(micro);
    const isSkipped = !isReached || skippedFrom === 0;
    this.ledger.end(isSkipped ? 'skipped' : isPartial ? 'partial' : 'whole');
    const step = Math.floor(micro / this.microBatches);
    if (!isSkipped) this.#counted.set(step, (this.#counted.get(step) ?? 0) + 1);
  }

  /** Micro-batches whose gradients a step has summed; asked once. */
  takeCounted(step: number): number {
    const counted = this.#counted.get(step) ?? 0;
    this.#counted.delete(step);
    return counted;
  }
}
