import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { PartFrame } from '../../shared/frames.ts';
import type { Compute, Metrics } from '../ports/compute.ts';
import type { Transport } from '../ports/transport.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Loader } from '../data/loader.ts';
import { planTag, type Assignment } from './assignment.ts';
import { Inbox } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { Traffic } from './traffic.ts';

export interface EvaluationContext {
  plan: Plan;
  assignment: Assignment;
  compute: Compute;
  transport: Transport;
  loader: Loader;
  traffic: Traffic;
  /** A micro-batch came through the head, which is here. */
  onThrough(attempt: number, micro: number, metrics: Metrics): void;
  onLinkLost(): void;
  onFailure(error: Error): void;
}

/** Whatever training sends: what is tested is the model as it is. */
const WIRE = 'float32';

/**
 * The pass over the test set that ends a plan: through the same blocks, forward only, so that no peer needs the whole model. Every part
 * counts; where some were lost with a link, a further attempt goes on from the first micro-batch that has not come through.
 */
export class Evaluation {
  /** Per segment of this block; null where nothing comes from before. */
  readonly #inboxes: (Inbox | null)[];
  readonly #outbox: Outbox;
  /** Per segment: the next micro-batch. */
  readonly #next: number[];
  /** The first micro-batch that has not come through the head. */
  #through = 0;
  /** 0 before the first one. */
  #attempt = 0;
  #stopped = false;
  #pumping: Promise<void> | null = null;

  constructor(private readonly context: EvaluationContext) {
    const { assignment, loader, plan, traffic } = context;
    const { segments, lane } = assignment;
    this.#outbox = new Outbox(context.transport, plan, lane, WIRE, traffic, ({ boundary, micro }, data) =>
      this.#inboxOf(boundary.index)!.addOwn(this.#attempt, micro, lane, data),
    );
    this.#inboxes = segments.map(
      ({ before }) =>
        before &&
        new Inbox({
          kind: 'evaluation',
          boundary: before,
          format: WIRE,
          rows: (micro) => loader.testRows(micro),
          micros: loader.testMicros,
          // Neighbours may have heard of an attempt before this block does.
          window: () => [0, this.#attempt + LIMITS.run.evaluationAttemptsAhead],
        }),
    );
    this.#next = segments.map(() => 0);
  }

  /** An attempt from a micro-batch on. Its parts that come before this are kept, those of earlier attempts are not. */
  begin(attempt: number, from: number): void {
    if (attempt <= this.#attempt || this.#stopped) return;
    this.#attempt = attempt;
    this.#through = from;
    this.#next.fill(from);
    for (const inbox of this.#inboxes) inbox?.skipTo(attempt, from);
    this.#wake();
  }

  receive(from: PeerId, frame: PartFrame): string | null {
    if (frame.planTag !== planTag(this.context.plan)) return 'part-other-plan';
    const inbox = this.#inboxOf(frame.boundary);
    const complaint = inbox ? inbox.add(from, frame) : 'part-wrong-boundary';
    if (complaint === null) this.#wake();
    return complaint;
  }

  /** At the first stage: one more micro-batch came through the head. */
  cameThrough(attempt: number, micro: number): void {
    if (attempt !== this.#attempt) return;
    // It may be told twice: by the head and by the coordinator.
    this.#through = Math.max(this.#through, micro + 1);
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#pumping;
    for (const inbox of this.#inboxes) inbox?.clear();
  }

  #inboxOf(boundary: number): Inbox | null {
    const i = this.context.assignment.segments.findIndex(({ before }) => before?.index === boundary);
    return i < 0 ? null : this.#inboxes[i];
  }

  /** Micro-batches on their way beyond one per stage: links that lose packets, or are long, take seconds for each. */
  get #ahead(): number {
    const { loader, assignment } = this.context;
    const { evaluationAheadMin, evaluationAheadMax, evaluationAheadBytes } = LIMITS.run;
    const fitting = Math.floor(evaluationAheadBytes / (4 * loader.testRows(0) * assignment.widestBoundary));
    return Math.max(evaluationAheadMin, Math.min(evaluationAheadMax, fitting));
  }

  /** The last segment that can go on; -1 where none can. */
  #ready(): number {
    const { loader, assignment } = this.context;
    if (this.#attempt === 0 || this.#stopped) return -1;
    return this.#next.findLastIndex((micro, segment) => {
      if (micro >= loader.testMicros) return false;
      // Skip connections wait for what an earlier segment left.
      if (segment > 0 && micro >= this.#next[segment - 1]) return false;
      if (assignment.segments[segment].takesSamples)
        return micro - this.#through < assignment.stages + this.#ahead;
      return this.#inboxes[segment]?.has(this.#attempt, micro) ?? true;
    });
  }

  #wake(): void {
    if (this.#pumping || this.#ready() < 0) return;
    this.#pumping = this.#pump().finally(() => {
      this.#pumping = null;
      this.#wake();
    });
  }

  async #pump(): Promise<void> {
    try {
      for (let segment = this.#ready(); segment >= 0; segment = this.#ready()) {
        await this.#pass(segment, this.#next[segment]++);
      }
    } catch (error) {
      this.#stopped = true;
      this.context.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #pass(segment: number, micro: number): Promise<void> {
    const { compute, loader, assignment } = this.context;
    const attempt = this.#attempt;
    const view = assignment.segments[segment];
    const rows = loader.testRows(micro);
    const input = view.takesSamples
      ? await loader.testSamples(micro)
      : this.#inboxes[segment]?.take(attempt, micro).data;
    const labels = view.endsModel ? await loader.testLabels(micro) : undefined;
    const result = await compute.forward({
      segment: view.index,
      micro,
      step: 0,
      rows,
      training: false,
      ...(input && { input }),
      ...(labels && { labels }),
    });
    // Another attempt may have begun meanwhile.
    if (attempt !== this.#attempt) return;
    if (view.after && result.output) {
      const { after } = view;
      // Not awaited: a neighbour that froze must not keep this block from stopping.
      void this.#outbox
        .send({
          kind: 'evaluation',
          boundary: after,
          ends: after.ends,
          step: attempt,
          micro,
          rows,
          data: result.output,
        })
        .then((lost) => {
          if (lost.length > 0 && !this.#stopped) this.context.onLinkLost();
        });
    }
    if (result.metrics && assignment.isHead) this.context.onThrough(attempt, micro, result.metrics);
  }
}
