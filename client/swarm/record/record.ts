import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { ControlOf, Final, PeerReport, Phase, RunEvent } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import type { Metrics } from '../../ports/compute.ts';

export interface StepRecord {
  step: number;
  /** Mean cross-entropy over the step's samples, natural logarithm. */
  loss: number;
  /** Share of the step's samples that the model got right. */
  accuracy: number;
  /** Milliseconds since training began. */
  t_ms: number;
}

/** All that a peer knows of the room's run. Every peer keeps one, so that any of them can show it, report it, or take over. */
export class RunRecord {
  run = 0;
  phase: Phase = 'idle';
  /** The phase that the coordinator told of last; `phase` is another where this peer has had no link to it since. */
  toldPhase: Phase = 'idle';
  message = '';
  /** Progress of the phase, 0..1. */
  share = 0;
  config: RunConfig | null = null;
  plan: Plan | null = null;
  /** The latest plan that any step was trained under: a test, which may be all that is left, can have another. */
  trainedPlan: Plan | null = null;
  /** Everybody who took part in a plan of this run. */
  readonly crew = new Set<PeerId>();
  steps: StepRecord[] = [];
  events: RunEvent[] = [];
  final: Final | null = null;
  peers: PeerReport[] = [];
  #beganMs: number | null = null;
  /** The plan of the latest step. */
  #stepsUnder = '';

  /** True while the room is busy with a run. */
  get running(): boolean {
    return ['preparing', 'training', 'paused', 'evaluating'].includes(this.phase);
  }

  get lastStep(): StepRecord | null {
    return this.steps.at(-1) ?? null;
  }

  begin(run: number): void {
    this.run = run;
    this.steps = [];
    this.events = [];
    this.final = null;
    this.peers = [];
    this.plan = null;
    this.trainedPlan = null;
    this.crew.clear();
    this.#beganMs = null;
    this.#stepsUnder = '';
  }

  /** What the coordinator says of the run. */
  apply(state: ControlOf<'run-state'>, nowMs: number): void {
    if (state.run !== this.run) this.begin(state.run);
    if (state.phase === 'training') this.#beganMs ??= nowMs;
    this.phase = this.toldPhase = state.phase;
    this.message = state.message;
    this.share = state.share;
    this.config = state.config ?? this.config;
    this.plan = state.plan ?? this.plan;
    for (const peer of state.plan?.dataHomes ?? []) this.crew.add(peer);
  }

  /** This peer does not hear the coordinator, or anybody: the room goes on without it for the time being. */
  detach(from: string): void {
    if (!this.running) return;
    this.phase = 'paused';
    this.message = `This device has no link to ${from}. It takes part again when the link is back.`;
  }

  /** False where another head has told of it already. */
  addStep(step: number, metrics: Metrics, nowMs: number): boolean {
    const { plan, lastStep } = this;
    const key = plan ? `${plan.run}/${plan.term.counter}/${plan.version}` : '';
    if (this.#stepsUnder === key && lastStep && step <= lastStep.step) return false;
    this.#stepsUnder = key;
    this.trainedPlan = plan;
    // After a mend a step number may come again: the later word counts.
    while (this.steps.length > 0 && this.steps.at(-1)!.step >= step) this.steps.pop();
    this.steps.push({
      step,
      loss: metrics.lossSum / metrics.samples,
      accuracy: metrics.correct / metrics.samples,
      t_ms: this.elapsedMs(nowMs),
    });
    return true;
  }

  addEvent(event: RunEvent): void {
    // A newcomer is told what it missed, and so may others be.
    const isKnown = ({ type, message, t_ms }: RunEvent) =>
      type === event.type && message === event.message && t_ms === event.t_ms;
    if (this.events.some(isKnown)) return;
    this.events.push(event);
    if (this.events.length > LIMITS.run.eventsKept) this.events.shift();
  }

  /** Milliseconds since training began; 0 before. */
  elapsedMs(nowMs: number): number {
    return this.#beganMs === null ? 0 : nowMs - this.#beganMs;
  }

  /** Samples per second over the last few seconds of training; null before there are two steps. */
  samplesPerSecond(): number | null {
    const last = this.lastStep;
    if (!last || !this.config) return null;
    const first = this.steps.findLast((step) => step.t_ms <= last.t_ms - 5000) ?? this.steps[0];
    const ms = last.t_ms - first.t_ms;
    return ms > 0 ? (((last.step - first.step) * this.config.batch) / ms) * 1000 : null;
  }
}
