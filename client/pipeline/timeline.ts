/** What a block did from `startMs` to `endMs` (the clock port's milliseconds). */
export interface Span {
  kind: 'forward' | 'backward' | 'step';
  step: number;
  micro: number;
  startMs: number;
  endMs: number;
}

const SPANS_KEPT = 20_000;

/** The latest work of one block, for pictures and for measuring how much of it overlaps. */
export class Timeline {
  readonly #spans: Span[] = [];
  busyMs = 0;

  add(span: Span): void {
    this.busyMs += span.endMs - span.startMs;
    this.#spans.push(span);
    if (this.#spans.length > SPANS_KEPT) this.#spans.splice(0, SPANS_KEPT / 2);
  }

  spans(): readonly Span[] {
    return this.#spans;
  }
}
