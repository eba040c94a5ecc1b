import { LIMITS } from '../../shared/limits.ts';

/** What a block did from `startMs` to `endMs` (the clock port's milliseconds). */
export interface Span {
  kind: 'forward' | 'backward' | 'weights' | 'step';
  step: number;
  micro: number;
  startMs: number;
  endMs: number;
}

/** The latest work of one block, for pictures and for measuring how much of it overlaps. */
export class Timeline {
  readonly #spans: Span[] = [];
  busyMs = 0;

  add(span: Span): void {
    this.busyMs += span.endMs - span.startMs;
    this.#spans.push(span);
    const { spansKept } = LIMITS.pipeline;
    if (this.#spans.length > spansKept) this.#spans.splice(0, spansKept / 2);
  }

  spans(): readonly Span[] {
    return this.#spans;
  }
}
