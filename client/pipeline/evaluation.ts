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
  /** The head tells the first stage that a micro-batch came through: room for another. */
  tellFirst(micro: number): void;
  /** This block has passed the whole test set; only the head's metrics count any samples. */
  onResult(metrics: Metrics): void;
  onLinkLost(): void;
  onFailure(error: Error): void;
}

/** Whatever training sends: what is tested is the model as it is. */
const WIRE = 'float32';

/** The pass over the test set that ends a plan: through the same blocks, forward only, so that no peer needs the whole model. */
export class Evaluation {
  /** Per segment of this block; null where nothing comes from before. */
  readonly #inboxes: (Inbox | null)[];
  readonly #outbox: Outbox;
  /** Per segment: the next micro-batch. */
  readonly #next: number[];
  /** Micro-batches that came through the head. */
  #through = 0;
  #sum: Metrics = { lossSum: 0, correct: 0, samples: 0 };
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;

  constructor(private readonly context: EvaluationContext) {
    const { assignment, loader, plan, traffic } = context;
    const { segments, lane } = assignment;
    this.#outbox = new Outbox(context.transport, plan, lane, WIRE, traffic, ({ boundary, micro }, data) =>
      this.#inboxOf(boundary.index)!.addOwn(0, micro, lane, data),
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
          window: () => [0, 0],
        }),
    );
    this.#next = segments.map(() => 0);
  }

  /** Parts that come before this are kept. */
  begin(): void {
    this.#begun = true;
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
  cameThrough(micro: number): void {
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

  /** The last segment that can go on; -1 where none can. */
  #ready(): number {
    const { loader, assignment } = this.context;
    if (!this.#begun || this.#stopped) return -1;
    return this.#next.findLastIndex((micro, segment) => {
      if (micro >= loader.testMicros) return false;
      // Skip connections wait for what an earlier segment left.
      if (segment > 0 && micro >= this.#next[segment - 1]) return false;
      if (assignment.segments[segment].takesSamples)
        return micro - this.#through < assignment.stages + LIMITS.run.evaluationAhead;
      return this.#inboxes[segment]?.has(0, micro) ?? true;
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
    const view = assignment.segments[segment];
    const rows = loader.testRows(micro);
    const input = view.takesSamples
      ? await loader.testSamples(micro)
      : this.#inboxes[segment]?.take(0, micro).data;
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
    if (view.after && result.output) {
      const { after } = view;
      // Not awaited: a neighbour that froze must not keep this block from stopping.
      void this.#outbox
        .send({
          kind: 'evaluation',
          boundary: after,
          ends: after.ends,
          step: 0,
          micro,
          rows,
          data: result.output,
        })
        .then((lost) => {
          if (lost.length > 0 && !this.#stopped) this.context.onLinkLost();
        });
    }
    if (result.metrics && assignment.isHead) this.#count(micro, result.metrics);
    if (micro === loader.testMicros - 1 && segment === assignment.segments.length - 1)
      this.context.onResult(this.#sum);
  }

  #count(micro: number, metrics: Metrics): void {
    this.#sum = {
      lossSum: this.#sum.lossSum + metrics.lossSum,
      correct: this.#sum.correct + metrics.correct,
      samples: this.#sum.samples + metrics.samples,
    };
    this.context.tellFirst(micro);
  }
}
