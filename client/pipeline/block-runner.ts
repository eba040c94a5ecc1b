import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { learningRateAt } from './learning-rate.ts';
import type { PartFrame } from '../../shared/frames.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Cancel, Clock } from '../ports/clock.ts';
import type { Compute, Metrics } from '../ports/compute.ts';
import type { Transport } from '../ports/transport.ts';
import type { Loader } from '../data/loader.ts';
import { planTag, type Assignment } from './assignment.ts';
import { Fates } from './fates.ts';
import { Feed } from './feed.ts';
import type { Arrival } from './inbox.ts';
import { Junctions, type Item } from './junctions.ts';
import type { Ledger } from './ledger.ts';
import { wholeOnly } from './missing.ts';
import type { PartsNotice } from './notices.ts';
import type { Request } from './outbox.ts';
import { Patience } from './patience.ts';
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
  /** Tells a neighbour which parts have left for it. */
  tell(to: PeerId, notice: PartsNotice): void;
  /** Asks a neighbour to send frames of a part again. */
  ask(to: PeerId, request: Request): void;
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
  readonly #fates: Fates;
  readonly #patience: Patience | null;
  /** Segments that cannot do with missing input. */
  readonly #wholeOnly: ReadonlySet<number>;
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;
  /** Since when there is nothing to do; null while there is. */
  #idleSinceMs: number | null = null;
  /** When the next deadline passes of what could be done next. */
  #dueMs = Infinity;
  #cancelDue: Cancel = () => undefined;

  constructor(private readonly context: RunnerContext) {
    const { plan, config, assignment, clock } = context;
    const { caps, segments, inFlightMost } = assignment;
    const { microBatches } = config;
    this.#step = plan.startStep;
    this.#tag = planTag(plan);
    this.#isSync = config.schedule !== 'async';
    // A neighbour can be ahead: it has passed this block's last gradient and begun anew.
    const ahead = this.#isSync ? 1 : stepsAhead(caps, microBatches);
    const capMs = Math.max(LIMITS.pipeline.waitPerStepMs, plan.predicted.stepMs);
    this.#patience = config.rule ? new Patience(config.rule, inFlightMost, capMs, () => clock.now()) : null;
    this.#fates = new Fates(context.ledger, microBatches);
    this.#wholeOnly = wholeOnly(assignment.block, segments);
    this.#junctions = new Junctions({
      ...context,
      patience: this.#patience,
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

  /** Null when taken, otherwise why the notice is refused. */
  hear(from: PeerId, notice: PartsNotice): string | null {
    if (this.#stopped) return null;
    const complaint = this.#junctions.hear(from, notice);
    this.#wake();
    return complaint;
  }

  /** Null when taken, otherwise why the request is refused. */
  resend(from: PeerId, request: Request): string | null {
    return this.#stopped ? null : this.#junctions.resend(from, request);
  }

  /** Stops after the task at hand and forgets what is in flight; weights stay as of the last finished step. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelDue();
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
    this.#cancelDue();
    try {
      for (let task = this.#next(); task; task = this.#next()) await this.#run(task);
      this.#idleSinceMs ??= this.context.clock.now();
      this.#awaitDue();
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Nothing can be done before something comes, or until a deadline passes. */
  #awaitDue(): void {
    if (this.#stopped || this.#dueMs === Infinity) return;
    const { clock } = this.context;
    // Never at once: a clock may come a rounding error short of what it was asked for.
    this.#cancelDue = clock.after(Math.max(1, this.#dueMs - clock.now()), () => this.#wake());
  }

  #next(): BlockTask | null {
    const { plan, config, assignment } = this.context;
    const { microBatches } = config;
    this.#dueMs = Infinity;
    if (this.#stopped || this.#step >= plan.endStep) return null;
    this.#dueMs = this.#junctions.chase();
    const steps = this.#step - plan.startStep;
    return nextTask({
      ...this.#counts,
      microBatches,
      steps,
      end: (this.#isSync ? steps + 1 : plan.endStep - plan.startStep) * microBatches,
      caps: assignment.caps,
      forwardReady: (segment, micro) => {
        const view = assignment.segments[segment];
        if (view.takesSamples && !this.#samples!.has(micro)) return false;
        if (view.endsModel && !this.#labels!.has(micro)) return false;
        return this.#isReady('forward', segment, micro);
      },
      backwardReady: (segment, micro) => this.#isReady('backward', segment, micro),
    });
  }

  #isReady(kind: 'forward' | 'backward', segment: number, micro: number): boolean {
    if (this.#fates.isSkipped(micro, segment)) return true;
    const dueMs = this.#junctions.dueMs(kind, segment, this.#item(micro));
    if (dueMs === -Infinity || dueMs <= this.context.clock.now()) return true;
    this.#dueMs = Math.min(this.#dueMs, dueMs);
    return false;
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
      const isRun = await this.#pass(task);
      if (!isRun) return;
    }
    timeline.add({ kind: task.kind, ...item, startMs, endMs: clock.now() });
  }

  /** False where the pass was left out. */
  #pass(task: Exclude<BlockTask, { kind: 'step' }>): Promise<boolean> {
    const { segment, micro } = task;
    if (task.kind === 'weights') return this.#weights(segment, micro, task.count);
    return task.kind === 'forward' ? this.#forward(segment, micro) : this.#backward(segment, micro);
  }

  async #forward(segment: number, index: number): Promise<boolean> {
    const { compute, assignment, config, plan } = this.context;
    const view = assignment.segments[segment];
    const item = this.#item(index);
    const { step, micro } = item;
    const samples = view.takesSamples ? this.#samples!.take(index) : undefined;
    const labels = view.endsModel ? this.#labels!.take(index) : undefined;
    const isFirst = segment === 0;
    const isStale = isFirst && !this.#isSync;
    const { caps } = assignment;
    if (isFirst) this.#fates.begin(index, isStale ? stalenessOf(index, caps, config.microBatches) : 0);
    if (this.#fates.isSkipped(index, segment)) {
      this.#junctions.skip('forward', segment, item);
      return false;
    }
    const arrival = this.#junctions.take('forward', segment, item);
    if (arrival && arrival.gaps.size > 0) this.#fates.notePartial(index);
    if (this.#mustSkip(segment, item, arrival)) {
      await this.#skipFrom(this.#drops(arrival) ? 0 : segment, index);
      this.#junctions.sendNothing('forward', segment, item);
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
      ...(isStale && { age: ageOf(index, this.#step - plan.startStep, caps, config.microBatches) }),
      ...(input && { input }),
      ...(labels && { labels }),
    });
    if (output) this.#junctions.send('forward', segment, item, output);
    return true;
  }

  /** True where a forward would be of no use, or wrong. */
  #mustSkip(segment: number, item: Item, arrival: Arrival | null): boolean {
    if (this.#junctions.isPassed(segment, item)) return true;
    if (!arrival || arrival.gaps.size === 0) return false;
    const { index } = this.context.assignment.segments[segment];
    return arrival.isEmpty || this.#drops(arrival) || this.#wholeOnly.has(index);
  }

  /** True where a micro-batch is dropped because something of it is missing. */
  #drops(arrival: Arrival | null): boolean {
    return this.#patience?.rule === 'discard' && arrival !== null && arrival.gaps.size > 0;
  }

  /** Leaves segments from there on out of a micro-batch. */
  async #skipFrom(segment: number, index: number): Promise<void> {
    const { compute, assignment } = this.context;
    this.#fates.skip(index, segment);
    await compute.skip({ ...this.#item(index), segment: assignment.segments[segment].index });
  }

  async #backward(segment: number, index: number): Promise<boolean> {
    const { compute, assignment } = this.context;
    const view = assignment.segments[segment];
    const item = this.#item(index);
    if (this.#fates.isSkipped(index, segment)) {
      this.#junctions.skip('backward', segment, item);
      this.#endIfDone(index);
      return false;
    }
    const arrival = this.#junctions.take('backward', segment, item);
    if (arrival && arrival.gaps.size > 0) this.#fates.notePartial(index);
    if (!arrival?.isEmpty || arrival.gaps.size === 0) this.#fates.noteReached(index);
    // Where no gradient has come, not even by way of later segments, there is nothing to go back over.
    if (this.#drops(arrival) || !this.#fates.isReached(index)) {
      await this.#skipFrom(this.#drops(arrival) ? 0 : segment, index);
      this.#junctions.sendNothing('backward', segment, item);
      this.#endIfDone(index);
      return false;
    }
    const { gradient } = await compute.backward({
      segment: view.index,
      ...item,
      defer: view.defers,
      ...(arrival && { gradient: arrival.data }),
    });
    if (gradient) this.#junctions.send('backward', segment, item, gradient);
    this.#endIfDone(index);
    return true;
  }

  async #weights(segment: number, first: number, count: number): Promise<boolean> {
    const { compute, assignment } = this.context;
    const indices = Array.from({ length: count }, (_, i) => first + i);
    const items = indices
      .filter((index) => !this.#fates.isSkipped(index, segment))
      .map((index) => this.#item(index));
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
    if (Math.min(...this.#counts.weights) > index) this.#fates.end(index);
  }

  async #finishStep(): Promise<void> {
    const { compute, config, plan, assignment } = this.context;
    const { microBatches } = config;
    const step = this.#step;
    const counted = this.#fates.takeCounted(step - plan.startStep);
    const steps = step + 1 - plan.startStep;
    const keeps = this.#isSync
      ? 0
      : olderVersionsAfter(steps, this.#counts.forwards[0], assignment.caps, microBatches);
    const { metrics } = await compute.step({
      counted,
      learningRate: learningRateAt(config, step),
      step,
      keeps,
    });
    this.#step++;
    this.#patience?.beginStep();
    if (metrics && metrics.samples > 0 && assignment.block.head) this.context.onStep(step, metrics);
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
