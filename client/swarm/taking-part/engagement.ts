import type { PeerId } from '../../../shared/ids.ts';
import type { PartFrame } from '../../../shared/frames.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Control } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { Loader } from '../../data/loader.ts';
import type { Assignment } from '../../pipeline/assignment.ts';
import { BlockRunner } from '../../pipeline/block-runner.ts';
import type { Request } from '../../pipeline/outbox.ts';
import type { PartsNotice } from '../../pipeline/notices.ts';
import { Evaluation } from '../../pipeline/evaluation.ts';
import type { Ledger } from '../../pipeline/ledger.ts';
import type { Timeline } from '../../pipeline/timeline.ts';
import type { Traffic } from '../../pipeline/traffic.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Compute } from '../../ports/compute.ts';
import type { Transport } from '../../ports/transport.ts';
import type { RoomData } from './room-data.ts';

export interface EngagementContext {
  clock: Clock;
  transport: Transport;
  compute: Compute;
  ledger: Ledger;
  timeline: Timeline;
  traffic: Traffic;
  data: RoomData;
  /** To whoever coordinates by then. */
  toCoordinator(message: Control): void;
  send(to: PeerId, message: Control): void;
  /** To everybody here, this peer included. */
  broadcast(message: Control): void;
}

/** A block at work under one plan: training, then one evaluation. */
export class Engagement {
  readonly #runner: BlockRunner;
  readonly #evaluation: Evaluation;
  readonly #tellDone: (stepsDone: number) => void;

  constructor(
    readonly plan: Plan,
    config: RunConfig,
    assignment: Assignment,
    context: EngagementContext,
  ) {
    const key = { term: plan.term, version: plan.version };
    const first = plan.stages[0].lanes;
    const rows = assignment.block.rows;
    const shared = {
      plan,
      assignment,
      compute: context.compute,
      transport: context.transport,
      traffic: context.traffic,
      loader: new Loader(context.data.task, context.data.chunks, config.seed, config.batch, rows),
    };
    const trouble = (fatal: boolean, message: string) =>
      context.toCoordinator({ type: 'trouble', ...key, fatal, message: message.slice(0, 300) });
    this.#tellDone = (stepsDone) => context.toCoordinator({ type: 'block-done', ...key, stepsDone });
    this.#runner = new BlockRunner({
      ...shared,
      config,
      clock: context.clock,
      ledger: context.ledger,
      timeline: context.timeline,
      ask: (peer, request) => context.send(peer, { type: 'resend', ...key, ...request }),
      tell: (peer, notice) => context.send(peer, { type: 'parts', ...key, ...notice }),
      onStep: (step, metrics) => context.broadcast({ type: 'step', ...key, step, metrics }),
      onDone: (stepsDone) => this.#tellDone(stepsDone),
      onLinkLost: () => trouble(false, 'a link to a neighbour in the pipeline broke'),
      onFailure: (error) => trouble(true, error.message),
    });
    this.#evaluation = new Evaluation({
      ...shared,
      onThrough: (attempt, micro, metrics) => {
        const { testMicros: micros } = shared.loader;
        const message = { type: 'evaluated', ...key, attempt, micro, micros, metrics } as const;
        for (const peer of first) context.send(peer, message);
        context.toCoordinator(message);
      },
      onLinkLost: () => trouble(false, 'a link to a neighbour in the pipeline broke'),
      onFailure: (error) => trouble(true, error.message),
    });
  }

  get stepsDone(): number {
    return this.#runner.stepsDone;
  }

  get isTraining(): boolean {
    return this.#runner.isBegun;
  }

  beginTraining(): void {
    this.#runner.begin();
  }

  /** Says once more that its steps are done, where they are: somebody else may coordinate now, or the word was lost. */
  tellAgain(): void {
    if (this.#runner.isDone) this.#tellDone(this.#runner.stepsDone);
  }

  /** A peer is heard again. */
  meet(peer: PeerId): void {
    this.#runner.tellAgain(peer);
  }

  beginEvaluation(attempt: number, from: number): void {
    this.#evaluation.begin(attempt, from);
  }

  evaluationCameThrough(attempt: number, micro: number): void {
    this.#evaluation.cameThrough(attempt, micro);
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(from: PeerId, frame: PartFrame): string | null {
    return frame.kind === 'evaluation'
      ? this.#evaluation.receive(from, frame)
      : this.#runner.receive(from, frame);
  }

  /** Null when taken, otherwise why the notice is refused. */
  hear(from: PeerId, notice: PartsNotice): string | null {
    return this.#runner.hear(from, notice);
  }

  /** Null when taken, otherwise why the request is refused. */
  resend(from: PeerId, request: Request): string | null {
    return this.#runner.resend(from, request);
  }

  /** Ends after the task at hand; weights stay as of the last finished step. */
  async stop(): Promise<void> {
    await Promise.all([this.#runner.stop(), this.#evaluation.stop()]);
  }
}
