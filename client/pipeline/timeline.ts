import { LIMITS } from '../../shared/limits.ts';
import type { Span, WorkSpan } from '../../shared/schema/timeline.ts';

/** True for what a block computes; it does one such thing at a time. */
export const isWork = (span: Span): span is WorkSpan =>
  span.kind === 'forward' || span.kind === 'backward' || span.kind === 'weights' || span.kind === 'step';

/** What one block did lately: computing, waiting, parts out and in. In the order in which things ended. */
export class Timeline {
  readonly #spans: Span[] = [];
  /** Milliseconds of computing since the run began, also of spans that are not kept any more. */
  busyMs = 0;

  add(span: Span): void {
    if (isWork(span)) this.busyMs += span.endMs - span.startMs;
    this.#spans.push(span);
    const { spansKept } = LIMITS.pipeline;
    if (this.#spans.length > spansKept) this.#spans.splice(0, spansKept / 2);
  }

  spans(): readonly Span[] {
    return this.#spans;
  }
}
