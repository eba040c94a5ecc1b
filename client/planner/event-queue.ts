/** Things that happen at a time, earliest first; at one time in the order they were added. A binary heap. */
export class EventQueue<T> {
  readonly #heap: { ms: number; turn: number; what: T }[] = [];
  #turns = 0;

  add(ms: number, what: T): void {
    const heap = this.#heap;
    const event = { ms, turn: this.#turns++, what };
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
  }

  next(): { ms: number; what: T } | null {
    const heap = this.#heap;
    const first = heap.at(0);
    const last = heap.pop();
    if (!first || !last) return null;
    if (heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

const isBefore = (a: { ms: number; turn: number }, b: { ms: number; turn: number }): boolean =>
  a.ms < b.ms || (a.ms === b.ms && a.turn < b.turn);
