import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Compute } from '../ports/compute.ts';
import type { Assignment } from './assignment.ts';
import type { Fates } from './fates.ts';
import type { Feed } from './feed.ts';
import type { Arrival } from './inbox.ts';
import type { Item, Junctions } from './junctions.ts';
import { wholeOnly } from './missing.ts';
import { ageOf, stalenessOf, type BlockTask, type Counts } from './schedule.ts';

/** Data of a run, micro-batch by micro-batch; null where a block has none. */
export interface Feeds {
  samples: Feed<Uint8Array> | null;
  labels: Feed<Uint8Array> | null;
}

export type Pass = Exclude<BlockTask, { kind: 'step' }>;

export interface PassContext {
  plan: Plan;
  config: RunConfig;
  assignment: Assignment;
  compute: Compute;
}

/** Which micro-batch of which step it is that is counted on from the plan's first step. */
export const itemOf = ({ plan, config }: Pick<PassContext, 'plan' | 'config'>, index: number): Item => ({
  step: plan.startStep + Math.floor(index / config.microBatches),
  micro: index % config.microBatches,
});

/** The passes of one block: each takes what has come, computes, sends what comes of it, or leaves a micro-batch out. */
export class BlockPasses {
  /** Segments that cannot do with missing input. */
  readonly #wholeOnly: ReadonlySet<number>;

  constructor(
    private readonly context: PassContext,
    private readonly own: { junctions: Junctions; fates: Fates; feeds: Feeds; counts: Counts },
  ) {
    this.#wholeOnly = wholeOnly(context.assignment.block, context.assignment.segments);
  }

  /**
   * False where the pass was left out.
   * @param steps updates done under this plan
   */
  run(task: Pass, steps: number): Promise<boolean> {
    const { segment, micro } = task;
    if (task.kind === 'weights') return this.#weights(segment, micro, task.count);
    return task.kind === 'forward' ? this.#forward(segment, micro, steps) : this.#backward(segment, micro);
  }

  async #forward(segment: number, index: number, steps: number): Promise<boolean> {
    const { compute, assignment, config } = this.context;
    const view = assignment.segments[segment];
    const item = itemOf(this.context, index);
    const { step, micro } = item;
    const samples = view.takesSamples ? this.own.feeds.samples!.take(index) : undefined;
    const labels = view.endsModel ? this.own.feeds.labels!.take(index) : undefined;
    const isFirst = segment === 0;
    const isStale = isFirst && config.schedule === 'async';
    const { caps } = assignment;
    if (isFirst) this.own.fates.begin(index, isStale ? stalenessOf(index, caps, config.microBatches) : 0);
    if (this.own.fates.isSkipped(index, segment)) {
      this.own.junctions.skip('forward', segment, item);
      return false;
    }
    const arrival = this.own.junctions.take('forward', segment, item);
    if (arrival && arrival.gaps.size > 0) this.own.fates.notePartial(index);
    if (this.#mustSkip(segment, item, arrival)) {
      await this.#skipFrom(this.#drops(arrival) ? 0 : segment, index);
      this.own.junctions.sendNothing('forward', segment, item);
      return false;
    }
    const input = samples ?? arrival?.data;
    const { output } = await compute.forward({
      segment: view.index,
      micro,
      step,
      rows: assignment.block.rows,
      training: true,
      measure: micro === 0 && step % LIMITS.run.importanceEverySteps === 0,
      ...(isStale && { age: ageOf(index, steps, caps, config.microBatches) }),
      ...(input && { input }),
      ...(labels && { labels }),
    });
    if (output) this.own.junctions.send('forward', segment, item, output);
    return true;
  }

  /** True where a forward would be of no use, or wrong. */
  #mustSkip(segment: number, item: Item, arrival: Arrival | null): boolean {
    if (this.own.junctions.isPassed(segment, item)) return true;
    if (!arrival || arrival.gaps.size === 0) return false;
    const { index } = this.context.assignment.segments[segment];
    return arrival.isEmpty || this.#drops(arrival) || this.#wholeOnly.has(index);
  }

  /** True where a micro-batch is dropped because something of it is missing. */
  #drops(arrival: Arrival | null): boolean {
    return this.context.config.rule === 'discard' && arrival !== null && arrival.gaps.size > 0;
  }

  /** Leaves segments from there on out of a micro-batch. */
  async #skipFrom(segment: number, index: number): Promise<void> {
    const { compute, assignment } = this.context;
    this.own.fates.skip(index, segment);
    await compute.skip({ ...itemOf(this.context, index), segment: assignment.segments[segment].index });
  }

  async #backward(segment: number, index: number): Promise<boolean> {
    const { compute, assignment } = this.context;
    const view = assignment.segments[segment];
    const item = itemOf(this.context, index);
    if (this.own.fates.isSkipped(index, segment)) {
      this.own.junctions.skip('backward', segment, item);
      this.#endIfDone(index);
      return false;
    }
    const arrival = this.own.junctions.take('backward', segment, item);
    if (arrival && arrival.gaps.size > 0) this.own.fates.notePartial(index);
    if (!arrival?.isEmpty || arrival.gaps.size === 0) this.own.fates.noteReached(index);
    // Where no gradient has come, not even by way of later segments, there is nothing to go back over.
    if (this.#drops(arrival) || !this.own.fates.isReached(index)) {
      await this.#skipFrom(this.#drops(arrival) ? 0 : segment, index);
      this.own.junctions.sendNothing('backward', segment, item);
      this.#endIfDone(index);
      return false;
    }
    const { gradient } = await compute.backward({
      segment: view.index,
      ...item,
      defer: view.defers,
      ...(arrival && { gradient: arrival.data }),
    });
    if (gradient) this.own.junctions.send('backward', segment, item, gradient);
    this.#endIfDone(index);
    return true;
  }

  async #weights(segment: number, first: number, count: number): Promise<boolean> {
    const { compute, assignment } = this.context;
    const indices = Array.from({ length: count }, (_, i) => first + i);
    const items = indices
      .filter((index) => !this.own.fates.isSkipped(index, segment))
      .map((index) => itemOf(this.context, index));
    if (items.length > 0)
      await compute.weights({
        segment: assignment.segments[segment].index,
        step: items[0].step,
        micros: items.map(({ micro }) => micro),
      });
    for (const index of indices) this.#endIfDone(index);
    return items.length > 0;
  }

  /** A micro-batch ends here with the last of its weight gradients. */
  #endIfDone(index: number): void {
    if (Math.min(...this.own.counts.weights) > index) this.own.fates.end(index);
  }
}
