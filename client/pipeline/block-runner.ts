import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { learningRateAt } from './learning-rate.ts';
import type { PartFrame } from '../../shared/frames.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Clock } from '../ports/clock.ts';
import type { Compute, Metrics } from '../ports/compute.ts';
import type { Transport } from '../ports/transport.ts';
import type { Loader } from '../data/loader.ts';
import { planTag, type Assignment } from './assignment.ts';
import { Feed } from './feed.ts';
import { Junctions, type Item, type PartOnTheWay } from './junctions.ts';
import type { Ledger } from './ledger.ts';
import {
  ageOf,
  nextTask,
  note,
  olderVersionsAfter,
  stalenessOf,
  stepsAhead,
  type BlockTask,
  type Counts,
} from './schedule.ts';
import type { Timeline } from './timeline.ts';
import type { Traffic } from './traffic.ts';

export interface RunnerContext {
  plan: Plan;
  config: RunConfig;
  assignment: Assignment;
  compute: Compute;
  transport: Transport;
  loader: Loader;
  clock: Clock;
  ledger: Ledger;
  timeline: Timeline;
  traffic: Traffic;
  /** For experiments: parts that count as lost. Both ends must be told the same. */
  isLost?: ((part: PartOnTheWay) => boolean) | undefined;
  /** The head finished a step. */
  onStep(step: number, metrics: Metrics): void;
  /** This block finished the last step. */
  onDone(stepsDone: number): void;
  /** A part could not be sent. */
  onLinkLost(): void;
  /** This block cannot go on (the loss is no number, the device gave up); the message is for people. */
  onFailure(error: Error): void;
}

/**
 * Trains one block under one plan: takes parts as they come, computes, passes parts on. Work is driven by arrivals. Micro-batches are
 * counted on from the plan's first step; `Item` says which step's they are.
 */
export class BlockRunner {
  readonly #junctions: Junctions;
  readonly #counts: Counts;
  readonly #tag: number;
  readonly #isSync: boolean;
  #samples: Feed<Uint8Array> | null = null;
  #labels: Feed<Uint8Array> | null = null;
  #step: number;
  /** Micro-batches under way of which a part was missing somewhere here. */
  readonly #partial = new Set<number>();
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;
  /** Since when there is nothing to do; null while there is. */
  #idleSinceMs: number | null = null;

  constructor(private readonly context: RunnerContext) {
    const { plan, config, assignment } = context;
    const { caps, segments } = assignment;
    const { microBatches } = config;
    this.#step = plan.startStep;
    this.#tag = planTag(plan);
    this.#isSync = config.schedule !== 'async';
    // A neighbour can be ahead: it has passed this block's last gradient and begun anew.
    const ahead = this.#isSync ? 1 : stepsAhead(caps, microBatches);
    this.#junctions = new Junctions({
      ...context,
      window: () => [this.#step, this.#step + ahead],
      onLinkLost: () => {
        if (!this.#stopped) context.onLinkLost();
      },
    });
    const none = () => segments.map(() => 0);
    const isAwaited = segments.map(({ before }) => before !== null);
    const defers = segments.map((view) => view.defers);
    this.#counts = { forwards: none(), backwards: none(), weights: none(), isAwaited, defers };
  }

  get stepsDone(): number {
    return this.#step;
  }

  /** Parts that come before this are kept. */
  begin(): void {
    const { plan, config, assignment, loader } = this.context;
    const micros = config.microBatches;
    const feed = (read: (step: number, micro: number) => Promise<Uint8Array>) =>
      new Feed<Uint8Array>(
        (i) => read(plan.startStep + Math.floor(i / micros), i % micros),
        0,
        (plan.endStep - plan.startStep) * micros,
        2 * micros,
        () => this.#wake(),
        (error) => this.#fail(error),
      );
    this.#begun = true;
    if (assignment.segments.some(({ takesSamples }) => takesSamples))
      this.#samples = feed((step, micro) => loader.trainSamples(step, micro));
    if (assignment.block.head) this.#labels = feed((step, micro) => loader.trainLabels(step, micro));
    if (this.#step >= plan.endStep) this.context.onDone(this.#step);
    else this.#wake();
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(from: PeerId, frame: PartFrame): string | null {
    if (this.#stopped) return 'part-after-pause';
    const { plan } = this.context;
    if (frame.planTag !== this.#tag || frame.version !== plan.version) return 'part-other-plan';
    const complaint = this.#junctions.receive(from, frame);
    if (complaint === null) this.#wake();
    return complaint;
  }

  /** Stops after the task at hand and forgets what is in flight; weights stay as of the last finished step. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#samples?.close();
    this.#labels?.close();
    await this.#pumping;
    this.#junctions.clear();
    this.context.ledger.interrupt();
    await this.context.compute.abandon();
  }

  #wake(): void {
    if (!this.#begun || this.#stopped || this.#pumping) return;
    this.#pumping = this.#pump().finally(() => {
      this.#pumping = null;
      if (this.#next()) this.#wake();
    });
  }

  async #pump(): Promise<void> {
    try {
      for (let task = this.#next(); task; task = this.#next()) await this.#run(task);
      this.#idleSinceMs ??= this.context.clock.now();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #next(): BlockTask | null {
    const { plan, config, assignment } = this.context;
    const { microBatches } = config;
    if (this.#stopped || this.#step >= plan.endStep) return null;
    const steps = this.#step - plan.startStep;
    return nextTask({
      ...this.#counts,
      microBatches,
      steps,
      end: (this.#isSync ? steps + 1 : plan.endStep - plan.startStep) * microBatches,
      caps: assignment.caps,
      forwardReady: (segment, micro) => {
        const view = assignment.segments[segment];
        if (!this.#junctions.has('forward', segment, this.#item(micro))) return false;
        if (view.takesSamples && !this.#samples!.has(micro)) return false;
        return !view.endsModel || this.#labels!.has(micro);
      },
      backwardReady: (segment, micro) => this.#junctions.has('backward', segment, this.#item(micro)),
    });
  }

  async #run(task: BlockTask): Promise<void> {
    const { clock, timeline } = this.context;
    const startMs = clock.now();
    const item = task.kind === 'step' ? { step: this.#step, micro: 0 } : this.#item(task.micro);
    if (this.#idleSinceMs !== null && (task.kind === 'forward' || task.kind === 'backward'))
      timeline.add({ kind: 'wait', ...item, startMs: this.#idleSinceMs, endMs: startMs, missing: task.kind });
    this.#idleSinceMs = null;
    if (task.kind === 'step') {
      await this.#finishStep();
    } else {
      note(task, this.#counts);
      if (task.kind === 'weights') await this.#weights(task.segment, task.micro, task.count);
      else if (task.kind === 'forward') await this.#forward(task.segment, task.micro);
      else await this.#backward(task.segment, task.micro);
    }
    timeline.add({ kind: task.kind, ...item, startMs, endMs: clock.now() });
  }

  async #forward(segment: number, index: number): Promise<void> {
    const { compute, assignment, config, ledger, plan } = this.context;
    const view = assignment.segments[segment];
    const item = this.#item(index);
    const { step, micro } = item;
    const arrival = this.#junctions.take('forward', segment, item);
    if (arrival && arrival.missing.length > 0) this.#partial.add(index);
    const input = view.takesSamples ? this.#samples!.take(index) : arrival?.data;
    const labels = view.endsModel ? this.#labels!.take(index) : undefined;
    const isFirst = segment === 0;
    const isStale = isFirst && !this.#isSync;
    const { caps } = assignment;
    if (isFirst) ledger.begin(isStale ? stalenessOf(index, caps, config.microBatches) : 0);
    const { output } = await compute.forward({
      segment: view.index,
      micro,
      step,
      rows: assignment.block.rows,
      training: true,
      measure: micro === 0 && step % LIMITS.run.importanceEverySteps === 0,
      ...(isStale && { age: ageOf(index, this.#step - plan.startStep, caps, config.microBatches) }),
      ...(input && { input }),
      ...(labels && { labels }),
    });
    if (output) this.#junctions.send('forward', segment, item, output);
  }

  async #backward(segment: number, index: number): Promise<void> {
    const { compute, assignment } = this.context;
    const view = assignment.segments[segment];
    const item = this.#item(index);
    const arrival = this.#junctions.take('backward', segment, item);
    if (arrival && arrival.missing.length > 0) this.#partial.add(index);
    const { gradient } = await compute.backward({
      segment: view.index,
      micro: item.micro,
      defer: view.defers,
      ...(arrival && { gradient: arrival.data }),
    });
    if (gradient) this.#junctions.send('backward', segment, item, gradient);
    this.#endIfDone(index);
  }

  async #weights(segment: number, first: number, count: number): Promise<void> {
    const { compute, assignment } = this.context;
    const indices = Array.from({ length: count }, (_, i) => first + i);
    await compute.weights({
      segment: assignment.segments[segment].index,
      micros: indices.map((index) => this.#item(index).micro),
    });
    for (const index of indices) this.#endIfDone(index);
  }

  /** A micro-batch ends here with the last of its weight gradients. */
  #endIfDone(index: number): void {
    if (Math.min(...this.#counts.weights) <= index) return;
    this.context.ledger.end(this.#partial.delete(index) ? 'partial' : 'whole');
  }

  async #finishStep(): Promise<void> {
    const { compute, config, plan, assignment } = this.context;
    const { microBatches } = config;
    const step = this.#step;
    const steps = step + 1 - plan.startStep;
    const keeps = this.#isSync
      ? 0
      : olderVersionsAfter(steps, this.#counts.forwards[0], assignment.caps, microBatches);
    const { metrics } = await compute.step({
      counted: microBatches,
      learningRate: learningRateAt(config, step),
      step,
      keeps,
    });
    this.#step++;
    if (metrics && assignment.block.head) this.context.onStep(step, metrics);
    if (this.#step >= plan.endStep) this.context.onDone(this.#step);
  }

  #item(index: number): Item {
    const { plan, config } = this.context;
    return {
      step: plan.startStep + Math.floor(index / config.microBatches),
      micro: index % config.microBatches,
    };
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.context.onFailure(error);
  }
}
