import type { PeerId } from '../../../shared/ids.ts';
import type { Control, ControlOf, ControlType } from '../../../shared/schema/control.ts';
import type { Cancel, Clock } from '../../ports/clock.ts';

/** One question to several peers; over when all have answered or are gone, or when time is up. */
export class Inquiry<T extends ControlType> {
  readonly answers = new Map<PeerId, ControlOf<T>>();
  readonly #open: Set<PeerId>;
  readonly #cancel: Cancel;
  #resolve!: (answers: Map<PeerId, ControlOf<T>>) => void;
  readonly done: Promise<Map<PeerId, ControlOf<T>>>;

  constructor(
    clock: Clock,
    peers: readonly PeerId[],
    private readonly accepts: (message: Control) => message is ControlOf<T>,
    timeoutMs: number,
  ) {
    this.#open = new Set(peers);
    this.done = new Promise((resolve) => (this.#resolve = resolve));
    this.#cancel = clock.after(timeoutMs, () => this.#finish());
    if (this.#open.size === 0) this.#finish();
  }

  /** True where the message was an answer to this question. */
  receive(from: PeerId, message: Control): boolean {
    if (!this.#open.has(from) || !this.accepts(message)) return false;
    this.answers.set(from, message);
    this.#close(from);
    return true;
  }

  gone(peer: PeerId): void {
    if (this.#open.has(peer)) this.#close(peer);
  }

  /** Peers that have not answered yet. */
  get open(): PeerId[] {
    return [...this.#open];
  }

  cancel(): void {
    this.#finish();
  }

  #close(peer: PeerId): void {
    this.#open.delete(peer);
    if (this.#open.size === 0) this.#finish();
  }

  #finish(): void {
    this.#cancel();
    this.#resolve(this.answers);
  }
}
