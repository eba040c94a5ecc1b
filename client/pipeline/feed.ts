/** Reads micro-batches ahead of their use, so that data never holds up a block. Bounded by `ahead`. */
export class Feed<T> {
  readonly #ready = new Map<number, T>();
  #next: number;
  #asked: number;
  #closed = false;

  /**
   * @param read gives item `index`
   * @param end items [first, end) will be read
   */
  constructor(
    private readonly read: (index: number) => Promise<T>,
    first: number,
    private readonly end: number,
    private readonly ahead: number,
    private readonly onArrival: () => void,
    private readonly onFailure: (error: Error) => void,
  ) {
    this.#next = first;
    this.#asked = first;
    this.#ask();
  }

  has(index: number): boolean {
    return this.#ready.has(index);
  }

  /** Item `index`, which must be the next one and there. */
  take(index: number): T {
    const item = this.#ready.get(index);
    if (item === undefined || index !== this.#next)
      throw new Error(`Item ${index} is not the next one to take.`);
    this.#ready.delete(index);
    this.#next++;
    this.#ask();
    return item;
  }

  close(): void {
    this.#closed = true;
    this.#ready.clear();
  }

  #ask(): void {
    while (!this.#closed && this.#asked < Math.min(this.end, this.#next + this.ahead))
      void this.#fetch(this.#asked++);
  }

  async #fetch(index: number): Promise<void> {
    try {
      const item = await this.read(index);
      if (this.#closed) return;
      this.#ready.set(index, item);
      this.onArrival();
    } catch (error) {
      if (!this.#closed) this.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
