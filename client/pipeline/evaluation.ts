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

export interface EvaluationContext {
  plan: Plan;
  assignment: Assignment;
  compute: Compute;
  transport: Transport;
  loader: Loader;
  /** The head tells the first stage that a micro-batch came through: room for another. */
  tellFirst(micro: number): void;
  /** This block has passed the whole test set; only the head's metrics count any samples. */
  onResult(metrics: Metrics): void;
  onLinkLost(): void;
  onFailure(error: Error): void;
}

/** The pass over the test set that ends a plan: through the same blocks, forward only, so that no peer needs the whole model. */
export class Evaluation {
  readonly #inbox: Inbox | null;
  readonly #outbox: Outbox;
  #next = 0;
  /** Micro-batches that came through the head. */
  #through = 0;
  #sum: Metrics = { lossSum: 0, correct: 0, samples: 0 };
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;

  constructor(private readonly context: EvaluationContext) {
    const { assignment, loader, plan } = context;
    this.#outbox = new Outbox(context.transport, plan, assignment.lane);
    this.#inbox =
      assignment.before &&
      new Inbox({
        kind: 'evaluation',
        boundary: assignment.before,
        rows: (micro) => loader.testRows(micro),
        micros: loader.testMicros,
        window: () => [0, 0],
      });
  }

  /** Parts that come before this are kept. */
  begin(): void {
    this.#begun = true;
    this.#wake();
  }

  receive(from: PeerId, frame: PartFrame): string | null {
    if (frame.planTag !== planTag(this.context.plan)) return 'part-other-plan';
    const complaint = this.#inbox ? this.#inbox.add(from, frame) : 'part-wrong-boundary';
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
    this.#inbox?.clear();
  }

  #ready(): boolean {
    const { loader, assignment } = this.context;
    if (!this.#begun || this.#stopped || this.#next >= loader.testMicros) return false;
    if (this.#inbox) return this.#inbox.has(0, this.#next);
    return this.#next - this.#through < assignment.stages + LIMITS.run.evaluationAhead;
  }

  #wake(): void {
    if (this.#pumping || !this.#ready()) return;
    this.#pumping = this.#pump().finally(() => {
      this.#pumping = null;
      this.#wake();
    });
  }

  async #pump(): Promise<void> {
    try {
      while (this.#ready()) await this.#pass(this.#next++);
    } catch (error) {
      this.#stopped = true;
      this.context.onFailure(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #pass(micro: number): Promise<void> {
    const { compute, loader, assignment } = this.context;
    const rows = loader.testRows(micro);
    const input = this.#inbox?.take(0, micro) ?? (await loader.testSamples(micro));
    const labels = assignment.block.head ? await loader.testLabels(micro) : undefined;
    const result = await compute.forward({ micro, rows, input, training: false, ...(labels && { labels }) });
    if (assignment.after && result.output) {
      // Not awaited: a neighbour that froze must not keep this block from stopping.
      void this.#outbox
        .send('evaluation', assignment.after, { step: 0, micro, rows }, result.output)
        .then((sent) => {
          if (!sent && !this.#stopped) this.context.onLinkLost();
        });
    }
    if (result.metrics) this.#count(micro, result.metrics);
    if (micro === loader.testMicros - 1) this.context.onResult(this.#sum);
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
