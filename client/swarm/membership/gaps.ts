/** How long nothing came at a stretch: the longest such gap in each of the latest turns. */
export class Gaps {
  readonly #longestMs: number[] = [0];

  constructor(private readonly turns: number) {}

  add(gapMs: number): void {
    const turn = this.#longestMs.length - 1;
    this.#longestMs[turn] = Math.max(this.#longestMs[turn], gapMs);
  }

  /** Another turn begins; the oldest is forgotten. */
  turn(): void {
    this.#longestMs.push(0);
    if (this.#longestMs.length > this.turns) this.#longestMs.shift();
  }

  get longestMs(): number {
    return Math.max(...this.#longestMs);
  }
}
