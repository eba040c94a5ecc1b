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
import { BlockPasses, itemOf, type Feeds } from './block-passes.ts';
import { Feed } from './feed.ts';
import { Junctions } from './junctions.ts';
import type { Ledger } from './ledger.ts';
import type { PartsNotice } from './notices.ts';
import type { Request } from './outbox.ts';
import { Patience } from './patience.ts';
import { nextTask, note, olderVersionsAfter, stepsAhead, type BlockTask, type Counts } from './schedule.ts';
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
  /** Asks a neighbour to send packets of a part again. */
  ask(to: PeerId, request: Request): void;
  /** A step is finished here, where the loss is made. */
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
  readonly #feeds: Feeds = { samples: null, labels: null };
  readonly #passes: BlockPasses;
  #step: number;
  readonly #fates: Fates;
  readonly #patience: Patience | null;
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
    this.#patience = config.rule
      ? new Patience(config.rule, inFlightMost, capMs, () => clock.now(), config.resendMs)
      : null;
    this.#fates = new Fates(context.ledger, microBatches);
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
    this.#passes = new BlockPasses(context, {
      junctions: this.#junctions,
      fates: this.#fates,
      feeds: this.#feeds,
      counts: this.#counts,
    });
  }

  get stepsDone(): number {
    return this.#step;
  }

  get isBegun(): boolean {
    return this.#begun;
  }

  /** All steps of the plan are done here. */
  get isDone(): boolean {
    return this.#begun && this.#step >= this.context.plan.endStep;
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
      this.#feeds.samples = feed((step, micro) => loader.trainSamples(step, micro));
    if (assignment.block.head) this.#feeds.labels = feed((step, micro) => loader.trainLabels(step, micro));
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

  /** A neighbour is heard again: it is told how far this block is. */
  tellAgain(peer: PeerId): void {
    if (!this.#stopped) this.#junctions.tellAgain(peer);
  }

  /** Null when taken, otherwise why the request is refused. */
  resend(from: PeerId, request: Request): string | null {
    return this.#stopped ? null : this.#junctions.resend(from, request);
  }

  /** Stops after the task at hand and forgets what is in flight; weights stay as of the last finished step. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelDue();
    this.#feeds.samples?.close();
    this.#feeds.labels?.close();
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
        if (view.takesSamples && !this.#feeds.samples!.has(micro)) return false;
        if (view.endsModel && !this.#feeds.labels!.has(micro)) return false;
        return this.#isReady('forward', segment, micro);
      },
      backwardReady: (segment, micro) => this.#isReady('backward', segment, micro),
    });
  }

  #isReady(kind: 'forward' | 'backward', segment: number, micro: number): boolean {
    if (this.#fates.isSkipped(micro, segment)) return true;
    const dueMs = this.#junctions.dueMs(kind, segment, itemOf(this.context, micro));
    if (dueMs === -Infinity || dueMs <= this.context.clock.now()) return true;
    this.#dueMs = Math.min(this.#dueMs, dueMs);
    return false;
  }

  async #run(task: BlockTask): Promise<void> {
    const { clock, timeline } = this.context;
    const startMs = clock.now();
    const item = task.kind === 'step' ? { step: this.#step, micro: 0 } : itemOf(this.context, task.micro);
    if (this.#idleSinceMs !== null && (task.kind === 'forward' || task.kind === 'backward'))
      timeline.add({ kind: 'wait', ...item, startMs: this.#idleSinceMs, endMs: startMs, missing: task.kind });
    this.#idleSinceMs = null;
    if (task.kind === 'step') {
      await this.#finishStep();
    } else {
      note(task, this.#counts);
      const isRun = await this.#passes.run(task, this.#step - this.context.plan.startStep);
      if (!isRun) return;
    }
    timeline.add({ kind: task.kind, ...item, startMs, endMs: clock.now() });
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

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.context.onFailure(error);
  }
}
