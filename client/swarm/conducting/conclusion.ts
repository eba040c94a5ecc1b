import { LIMITS } from '../../../shared/limits.ts';
import type { ControlOf, Final, PeerReport } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { headOf } from '../../partition/stages.ts';
import type { PeerId } from '../../../shared/ids.ts';
import { answer, type Office } from './office.ts';
import { holdersOf } from './preparation.ts';
import type { TestScore } from './test-score.ts';
import { trainingLimits, Watch, type Outcome } from './watch.ts';
import { counted } from './wording.ts';

const TESTING = 'Testing the model on samples it has not seen';
/** Announcements of progress in one evaluation. */
const ANNOUNCEMENTS = 20;

/** The end of a run: the model is tested as it lies, spread over the peers, and everybody gets the report. */
export class Conclusion {
  readonly watch: Watch;
  #announced = 0;
  #attempt = 0;
  /** When the test began under this plan, and with which micro-batch. */
  #startMs = 0;
  #first = 0;
  /** Of the whole test; 0 before it is known. */
  #micros = 0;
  /** How long nothing has to come through before a further attempt. */
  #retryMs: number = LIMITS.run.evaluationRetryMs;
  /** What somebody said was the matter. */
  #trouble: string | null = null;

  /**
   * @param score goes on from test to test, as long as the model is the same
   * @param isPatient peers and links may be gone for a while: what they lost meanwhile is sent again
   */
  constructor(
    private readonly office: Office,
    private readonly plan: Plan,
    private readonly score: TestScore,
    private readonly isPatient: boolean,
  ) {
    const limits = trainingLimits(plan);
    this.watch = new Watch(
      office.context.clock,
      plan,
      isPatient ? { ...limits, awayStallMs: limits.stallMs, onIdle: (idleMs) => this.#look(idleMs) } : limits,
    );
  }

  /** One more test micro-batch came through the head. */
  onEvaluated(from: PeerId, message: ControlOf<'evaluated'>): void {
    if (from !== headOf(this.plan.stages) || !this.score.add(message)) return;
    this.watch.progressed();
    this.#retryMs = LIMITS.run.evaluationRetryMs;
    this.#trouble = null;
    this.#micros = message.micros;
    const share = this.score.next / message.micros;
    if (share >= 1) this.watch.happen({ kind: 'done' });
    else if (share >= (this.#announced + 1) / ANNOUNCEMENTS) {
      this.#announced = Math.floor(share * ANNOUNCEMENTS);
      this.office.announce('evaluating', TESTING, share);
    }
  }

  /** A peer that was away is heard again: what was on its way to it or from it may be lost. */
  onBack(): void {
    this.#evaluate();
  }

  /** A block is in trouble that may pass. */
  onTrouble(message: string): void {
    if (this.isPatient) this.#trouble = message;
    else this.watch.happen({ kind: 'trouble', message });
  }

  /** Tests the model and ends the run; otherwise gives what came between. */
  async conclude(stoppedEarly: boolean): Promise<Outcome> {
    const { office, plan, watch, score } = this;
    const { context } = office;
    const trainingMs = context.record.lastStep?.t_ms ?? 0;
    this.#startMs = context.clock.now();
    this.#first = score.next;
    office.announce('evaluating', TESTING, 0);
    this.#evaluate();
    const outcome = await watch.outcome;
    office.assertHeld();
    if (outcome.kind === 'trouble') return { ...outcome, message: this.#trouble ?? outcome.message };
    if (outcome.kind !== 'done') return outcome;
    const { metrics } = score;
    const share = ((100 * metrics.correct) / metrics.samples).toFixed(2);
    office.event('evaluated', `${share}% of ${metrics.samples} test samples are right.`);
    const final: Final = { metrics, stepsDone: plan.endStep, trainingMs, stoppedEarly };
    const peers = await this.#collectReports();
    for (const peer of context.alive())
      context.send(peer, { type: 'finished', term: office.term, final, peers });
    office.announce('finished', stoppedEarly ? `Stopped after ${counted(plan.endStep, 'step')}.` : '', 1);
    return outcome;
  }

  /** Parts may be lost with a link that broke, and nobody may know: what has not come through is sent again. */
  #look(idleMs: number): void {
    const leftMs = this.#leftMs;
    if (leftMs > LIMITS.run.evaluationSlowMs && this.#isSlowlyLinked) {
      const message = `over these links the rest of the test would take about ${Math.round(leftMs / 1000)} s more`;
      this.watch.happen({ kind: 'trouble', message });
    }
    if (idleMs < this.#retryMs) return;
    this.#retryMs *= 2;
    this.#evaluate();
  }

  /** What is left of the test at its present pace, in milliseconds; 0 before that is known. */
  get #leftMs(): number {
    const ms = this.office.context.clock.now() - this.#startMs;
    const done = this.score.next - this.#first;
    if (ms < LIMITS.run.evaluationTrialMs || this.#micros === 0) return 0;
    return (ms / Math.max(1, done)) * (this.#micros - this.score.next);
  }

  get #isSlowlyLinked(): boolean {
    const holders = holdersOf(this.plan);
    return this.office.context
      .links()
      .some(
        ({ a, b, goodput }) =>
          holders.includes(a) && holders.includes(b) && goodput < LIMITS.link.slowBytesPerSecond,
      );
  }

  #evaluate(): void {
    const { term, version } = this.plan;
    const order = {
      type: 'evaluate',
      term,
      version,
      attempt: ++this.#attempt,
      from: this.score.next,
    } as const;
    for (const peer of holdersOf(this.plan)) this.office.context.send(peer, order);
  }

  async #collectReports(): Promise<PeerReport[]> {
    const peers = this.office.context.alive();
    const question = { type: 'report', term: this.office.term } as const;
    const answers = await this.office.ask(
      peers,
      question,
      answer('report-answer'),
      LIMITS.run.answerTimeoutMs,
    );
    return peers.flatMap((peer) => answers.get(peer)?.report ?? []);
  }
}
