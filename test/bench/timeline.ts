import { Timeline } from '../../client/pipeline/timeline.ts';
import { LIMITS } from '../../shared/limits.ts';

/** What recording a span costs, a timeline being full. A step of 16 micro-batches at a middle stage has about 150 of them. */
const SPANS = 2_000_000;
const timeline = new Timeline();
const add = (count: number) => {
  for (let i = 0; i < count; i++) {
    const when = { step: i, micro: i % 16, startMs: i, endMs: i + 0.5 };
    timeline.add({ kind: 'send', ...when, way: 'forward', boundary: 1, peer: 'p000000001', bytes: 1000 });
  }
};
add(4 * LIMITS.pipeline.spansKept);
const start = performance.now();
add(SPANS);
const nanoseconds = (1e6 * (performance.now() - start)) / SPANS;
console.log(
  `${nanoseconds.toFixed(0)} ns a span, ${((150 * nanoseconds) / 1e6).toFixed(3)} ms for a step of 150`,
);
