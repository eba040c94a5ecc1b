import type { Cancel, Clock } from '../../client/ports/clock.ts';

interface Event {
  atMs: number;
  order: number;
  action: () => void;
  cancelled: boolean;
}

/** Time that jumps from event to event; promises settle in between, so a run depends on nothing but its seed. */
export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #heap: Event[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, action: () => void): Cancel {
    const event = { atMs: Math.max(atMs, this.#nowMs), order: this.#order++, action, cancelled: false };
    push(this.#heap, event);
    return () => void (event.cancelled = true);
  }

  /** Runs events until `done`; false where `limitMs` of virtual time went by, or nothing was left to happen, before that. */
  async runUntil(done: () => boolean, limitMs: number): Promise<boolean> {
    const endMs = this.#nowMs + limitMs;
    while (!done()) {
      if (this.#heap.length === 0 || this.#heap[0].atMs > endMs) {
        this.#nowMs = endMs;
        return false;
      }
      const event = pop(this.#heap)!;
      if (event.cancelled) continue;
      this.#nowMs = event.atMs;
      event.action();
      await promisesSettled();
    }
    return true;
  }

  /** A clock of one device: when it is off no timer fires, when it sleeps they fire late. */
  clockFor(isOn: () => boolean, wakesAtMs: () => number): Clock {
    const after: Clock['after'] = (delayMs, action) => {
      let cancel = this.at(this.#nowMs + delayMs, () => {
        if (!isOn()) return;
        if (wakesAtMs() > this.#nowMs) cancel = this.at(wakesAtMs(), () => (isOn() ? action() : undefined));
        else action();
      });
      return () => cancel();
    };
    return { now: () => this.#nowMs, after };
  }
}

/** setImmediate runs after all promise jobs, however long their chains. */
const promisesSettled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const before = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

function push(heap: Event[], event: Event): void {
  let i = heap.push(event) - 1;
  for (let parent = (i - 1) >> 1; i > 0 && before(heap[i], heap[parent]); parent = (i - 1) >> 1) {
    [heap[i], heap[parent]] = [heap[parent], heap[i]];
    i = parent;
  }
}

function pop(heap: Event[]): Event | undefined {
  const [top] = heap;
  const last = heap.pop();
  if (heap.length === 0 || !last) return top;
  heap[0] = last;
  for (let i = 0; ;) {
    const [left, right] = [2 * i + 1, 2 * i + 2];
    let least = i;
    if (left < heap.length && before(heap[left], heap[least])) least = left;
    if (right < heap.length && before(heap[right], heap[least])) least = right;
    if (least === i) return top;
    [heap[i], heap[least]] = [heap[least], heap[i]];
    i = least;
  }
}
