/** Somebody closed what was still being opened. */
export class Interrupted extends Error {}

/** What a command has opened and must close again, also where it is interrupted while something is just opening. */
export class Belongings {
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #opening = new Set<Promise<unknown>>();
  #closing: Promise<void> | null = null;

  /** The thing once it is open; closed at once where this was closed in the meantime. */
  hold<T>(opening: Promise<T>, close: (thing: T) => Promise<void>): Promise<T> {
    const held = this.#hold(opening, close);
    this.#opening.add(held);
    void held.catch(() => undefined).then(() => this.#opening.delete(held));
    return held;
  }

  /** Closes everything, the last first; what fails to close does not keep the rest open. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #hold<T>(opening: Promise<T>, close: (thing: T) => Promise<void>): Promise<T> {
    const thing = await opening;
    if (this.#closing) {
      await close(thing);
      throw new Interrupted('It was closed while it opened.');
    }
    this.#closers.push(() => close(thing));
    return thing;
  }

  async #closeAll(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close().catch(() => undefined);
    await Promise.allSettled(this.#opening);
  }
}
