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
import { planTag, type Assignment, type BoundaryView, type LaneEnd, type SegmentView } from './assignment.ts';
import { Feed } from './feed.ts';
import { Inbox } from './inbox.ts';
import type { Ledger } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { nextTask, type BlockTask } from './schedule.ts';
import type { Timeline } from './timeline.ts';
import type { Traffic } from './traffic.ts';

/** A part on its way, as fault injection sees it: `from` and `to` are lanes in the direction that it goes. */
export interface PartOnTheWay {
  kind: 'forward' | 'backward';
  boundary: number;
  step: number;
  micro: number;
  from: PeerId;
  to: PeerId;
}

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

type Way = 'forward' | 'backward';

/** A segment at work: where its inputs and gradients arrive. */
interface Lane {
  view: SegmentView;
  /** Null where nothing comes from before. */
  forward: Inbox | null;
  /** Null where nothing comes back. */
  backward: Inbox | null;
}

/** Trains one block under one plan: takes parts as they come, computes, passes parts on. Work is driven by arrivals. */
export class BlockRunner {
  readonly #lanes: Lane[];
  readonly #outbox: Outbox;
  readonly #tag: number;
  #samples: Feed<Uint8Array> | null = null;
  #labels: Feed<Uint8Array> | null = null;
  #step: number;
  #forwards: number[];
  #backwards: number[];
  /** Micro-batches of this step of which a part was missing somewhere here. */
  readonly #partial = new Set<number>();
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;
  /** Since when there is nothing to do; null while there is. */
  #idleSinceMs: number | null = null;

  constructor(private readonly context: RunnerContext) {
    const { plan, config, assignment, transport, traffic } = context;
    this.#step = plan.startStep;
    this.#tag = planTag(plan);
    this.#outbox = new Outbox(
      transport,
      plan,
      assignment.lane,
      config.wire,
      traffic,
      ({ kind, boundary, step, micro }, data) =>
        this.#inboxOf(kind, boundary.index)!.addOwn(step, micro, assignment.lane, data),
    );
    this.#lanes = assignment.segments.map((view) => ({
      view,
      forward: view.before && this.#inbox('forward', view.before),
      backward: view.after && this.#inbox('backward', view.after),
    }));
    this.#forwards = this.#lanes.map(() => 0);
    this.#backwards = this.#lanes.map(() => 0);
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
        (i) => read(Math.floor(i / micros), i % micros),
        this.#step * micros,
        plan.endStep * micros,
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
    const inbox = this.#inboxOf(frame.kind, frame.boundary);
    const complaint = inbox ? inbox.add(from, frame) : 'part-wrong-boundary';
    if (complaint === null) this.#wake();
    return complaint;
  }

  /** Stops after the task at hand and forgets what is in flight; weights stay as of the last finished step. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#samples?.close();
    this.#labels?.close();
    await this.#pumping;
    for (const { forward, backward } of this.#lanes) {
      forward?.clear();
      backward?.clear();
    }
    this.context.ledger.interrupt();
    await this.context.compute.abandon();
  }

  #inbox(kind: 'forward' | 'backward', boundary: BoundaryView): Inbox {
    const { assignment, config, isLost } = this.context;
    return new Inbox({
      kind,
      boundary,
      format: config.wire,
      rows: () => assignment.block.rows,
      micros: config.microBatches,
      // A neighbour can be one step ahead: it has passed this block's last gradient and begun anew.
      window: () => [this.#step, this.#step + 1],
      now: () => this.context.clock.now(),
      onWhole: ({ step, micro, end, bytes, startMs }) =>
        this.#record('receive', { kind, boundary, step, micro }, end, bytes, startMs),
      ...(isLost && { isLost: (step, micro, end) => this.#isLost(kind, boundary, step, micro, end) }),
    });
  }

  /** A gradient is missing, too, where what it would be for never came. */
  #isLost(
    kind: 'forward' | 'backward',
    boundary: BoundaryView,
    step: number,
    micro: number,
    end: LaneEnd,
  ): boolean {
    const { isLost, transport } = this.context;
    if (!isLost || end.peer === transport.self) return false;
    const there: PartOnTheWay = {
      kind,
      boundary: boundary.index,
      step,
      micro,
      from: end.peer,
      to: transport.self,
    };
    if (isLost(there)) return true;
    return kind === 'backward' && isLost({ ...there, kind: 'forward', from: there.to, to: there.from });
  }

  #inboxOf(kind: PartFrame['kind'], boundary: number): Inbox | null {
    for (const { view, forward, backward } of this.#lanes) {
      if (kind === 'forward' && view.before?.index === boundary) return forward;
      if (kind === 'backward' && view.after?.index === boundary) return backward;
    }
    return null;
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
    if (this.#stopped || this.#step >= plan.endStep) return null;
    return nextTask({
      microBatches: config.microBatches,
      inFlightMax: assignment.inFlightMax,
      forwards: this.#forwards,
      backwards: this.#backwards,
      forwardReady: (segment, micro) => {
        const { view, forward } = this.#lanes[segment];
        if (forward && !forward.has(this.#step, micro)) return false;
        if (view.takesSamples && !this.#samples!.has(this.#item(micro))) return false;
        return !view.endsModel || this.#labels!.has(this.#item(micro));
      },
      backwardReady: (segment, micro) => this.#lanes[segment].backward?.has(this.#step, micro) ?? true,
    });
  }

  async #run(task: BlockTask): Promise<void> {
    const { clock, timeline } = this.context;
    const startMs = clock.now();
    const step = this.#step;
    const micro = task.kind === 'step' ? 0 : task.micro;
    if (this.#idleSinceMs !== null && task.kind !== 'step') {
      const waited = { step, micro, startMs: this.#idleSinceMs, endMs: startMs };
      timeline.add({ kind: 'wait', ...waited, missing: task.kind });
    }
    this.#idleSinceMs = null;
    if (task.kind === 'forward') await this.#forward(task.segment, task.micro);
    else if (task.kind === 'backward') await this.#backward(task.segment, task.micro);
    else await this.#finishStep();
    timeline.add({ kind: task.kind, step, micro, startMs, endMs: clock.now() });
  }

  async #forward(segment: number, micro: number): Promise<void> {
    const { compute, assignment, ledger } = this.context;
    const { view, forward } = this.#lanes[segment];
    const step = this.#step;
    const arrival = forward?.take(step, micro);
    if (arrival && arrival.missing.length > 0) this.#partial.add(micro);
    const input = view.takesSamples ? this.#samples!.take(this.#item(micro)) : arrival?.data;
    const labels = view.endsModel ? this.#labels!.take(this.#item(micro)) : undefined;
    if (segment === 0) ledger.begin();
    this.#forwards[segment]++;
    const rows = assignment.block.rows;
    const measure = micro === 0 && step % LIMITS.run.importanceEverySteps === 0;
    const { output } = await compute.forward({
      segment: view.index,
      micro,
      step,
      rows,
      training: true,
      measure,
      ...(input && { input }),
      ...(labels && { labels }),
    });
    if (view.after && output) this.#send('forward', view.after, micro, output);
  }

  async #backward(segment: number, micro: number): Promise<void> {
    const { compute, ledger } = this.context;
    const { view, backward } = this.#lanes[segment];
    const arrival = backward?.take(this.#step, micro);
    if (arrival && arrival.missing.length > 0) this.#partial.add(micro);
    this.#backwards[segment]++;
    const task = { segment: view.index, micro };
    const { gradient } = await compute.backward(arrival ? { ...task, gradient: arrival.data } : task);
    if (segment === 0) ledger.end(this.#partial.has(micro) ? 'partial' : 'whole');
    if (view.before && gradient) this.#send('backward', view.before, micro, gradient);
  }

  #send(kind: 'forward' | 'backward', boundary: BoundaryView, micro: number, data: Float32Array): void {
    const { assignment, isLost, transport } = this.context;
    const step = this.#step;
    // What was not used forward gets no gradient.
    const ends =
      kind === 'backward' && isLost
        ? boundary.ends.filter(
            ({ peer }) =>
              peer === transport.self ||
              !isLost({
                kind: 'forward',
                boundary: boundary.index,
                step,
                micro,
                from: peer,
                to: transport.self,
              }),
          )
        : boundary.ends;
    const startMs = this.context.clock.now();
    const what = { kind, boundary, step, micro };
    void this.#outbox
      .send({
        ...what,
        ends,
        rows: assignment.block.rows,
        data,
        onSent: (end, bytes) => this.#record('send', what, end, bytes, startMs),
      })
      .then((sent) => {
        if (!sent && !this.#stopped) this.context.onLinkLost();
      });
  }

  #record(
    kind: 'send' | 'receive',
    { kind: way, boundary, step, micro }: { kind: Way; boundary: BoundaryView; step: number; micro: number },
    { peer }: LaneEnd,
    bytes: number,
    startMs: number,
  ): void {
    const { clock, timeline } = this.context;
    const where = { way, boundary: boundary.index, peer };
    timeline.add({ kind, step, micro, startMs, endMs: clock.now(), ...where, bytes });
  }

  async #finishStep(): Promise<void> {
    const { compute, config, plan } = this.context;
    const step = this.#step;
    const { metrics } = await compute.step({
      counted: config.microBatches,
      learningRate: learningRateAt(config, step),
    });
    this.#step++;
    this.#forwards = this.#lanes.map(() => 0);
    this.#backwards = this.#lanes.map(() => 0);
    this.#partial.clear();
    if (metrics && this.context.assignment.block.head) this.context.onStep(step, metrics);
    if (this.#step >= plan.endStep) this.context.onDone(this.#step);
  }

  #item(micro: number): number {
    return this.#step * this.context.config.microBatches + micro;
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.context.onFailure(error);
  }
}
