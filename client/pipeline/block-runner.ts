import type { PeerId } from '../../shared/ids.ts';
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
import { Inbox } from './inbox.ts';
import type { Ledger } from './ledger.ts';
import { Outbox } from './outbox.ts';
import { nextTask, type BlockTask } from './schedule.ts';
import type { Timeline } from './timeline.ts';

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
  /** The head finished a step. */
  onStep(step: number, metrics: Metrics): void;
  /** This block finished the last step. */
  onDone(stepsDone: number): void;
  /** A part could not be sent. */
  onLinkLost(): void;
  /** This block cannot go on (the loss is no number, the device gave up); the message is for people. */
  onFailure(error: Error): void;
}

/** Trains one block under one plan: takes parts as they come, computes, passes parts on. Work is driven by arrivals. */
export class BlockRunner {
  readonly #forwardInbox: Inbox | null;
  readonly #backwardInbox: Inbox | null;
  readonly #outbox: Outbox;
  readonly #tag: number;
  #samples: Feed<Uint8Array> | null = null;
  #labels: Feed<Uint8Array> | null = null;
  #step: number;
  #forwards = 0;
  #backwards = 0;
  #begun = false;
  #stopped = false;
  #pumping: Promise<void> | null = null;

  constructor(private readonly context: RunnerContext) {
    const { plan, config, assignment } = context;
    this.#step = plan.startStep;
    this.#tag = planTag(plan);
    this.#outbox = new Outbox(context.transport, plan, assignment.lane);
    const expected = {
      rows: () => assignment.block.rows,
      micros: config.microBatches,
      // A neighbour can be one step ahead: it has passed this block's last gradient and begun anew.
      window: (): [number, number] => [this.#step, this.#step + 1],
    };
    const inbox = (kind: 'forward' | 'backward', boundary: Assignment['before']) =>
      boundary && new Inbox({ ...expected, kind, boundary });
    this.#forwardInbox = inbox('forward', assignment.before);
    this.#backwardInbox = inbox('backward', assignment.after);
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
    if (!assignment.before) this.#samples = feed((step, micro) => loader.trainSamples(step, micro));
    if (assignment.block.head) this.#labels = feed((step, micro) => loader.trainLabels(step, micro));
    if (this.#step >= plan.endStep) this.context.onDone(this.#step);
    else this.#wake();
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(from: PeerId, frame: PartFrame): string | null {
    if (this.#stopped) return 'part-after-pause';
    const { plan } = this.context;
    if (frame.planTag !== this.#tag || frame.version !== plan.version) return 'part-other-plan';
    const inbox = frame.kind === 'forward' ? this.#forwardInbox : this.#backwardInbox;
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
    this.#forwardInbox?.clear();
    this.#backwardInbox?.clear();
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
      forwardReady: (micro) =>
        (this.#forwardInbox?.has(this.#step, micro) ?? this.#samples!.has(this.#item(micro))) &&
        (this.#labels?.has(this.#item(micro)) ?? true),
      backwardReady: (micro) => this.#backwardInbox?.has(this.#step, micro) ?? true,
    });
  }

  async #run(task: BlockTask): Promise<void> {
    const startMs = this.context.clock.now();
    const step = this.#step;
    if (task.kind === 'forward') await this.#forward(task.micro);
    else if (task.kind === 'backward') await this.#backward(task.micro);
    else await this.#finishStep();
    const micro = task.kind === 'step' ? 0 : task.micro;
    this.context.timeline.add({ kind: task.kind, step, micro, startMs, endMs: this.context.clock.now() });
  }

  async #forward(micro: number): Promise<void> {
    const { compute, assignment, ledger } = this.context;
    const input = this.#forwardInbox?.take(this.#step, micro) ?? this.#samples!.take(this.#item(micro));
    const labels = this.#labels?.take(this.#item(micro));
    ledger.begin();
    this.#forwards++;
    const rows = assignment.block.rows;
    const { output } = await compute.forward({
      micro,
      rows,
      input,
      training: true,
      ...(labels && { labels }),
    });
    if (assignment.after && output) this.#send('forward', assignment.after, micro, output);
  }

  async #backward(micro: number): Promise<void> {
    const { compute, assignment, ledger } = this.context;
    const incoming = this.#backwardInbox?.take(this.#step, micro);
    this.#backwards++;
    const { gradient } = await compute.backward({ micro, ...(incoming && { gradient: incoming }) });
    ledger.end('whole');
    if (assignment.before && gradient) this.#send('backward', assignment.before, micro, gradient);
  }

  #send(
    kind: 'forward' | 'backward',
    boundary: NonNullable<Assignment['after']>,
    micro: number,
    data: Float32Array,
  ): void {
    const at = { step: this.#step, micro, rows: this.context.assignment.block.rows };
    void this.#outbox.send(kind, boundary, at, data).then((sent) => {
      if (!sent && !this.#stopped) this.context.onLinkLost();
    });
  }

  async #finishStep(): Promise<void> {
    const { compute, config, plan } = this.context;
    const step = this.#step;
    const { metrics } = await compute.step({
      counted: config.microBatches,
      learningRate: learningRateAt(config, step),
    });
    this.#step++;
    this.#forwards = 0;
    this.#backwards = 0;
    if (metrics) this.context.onStep(step, metrics);
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
