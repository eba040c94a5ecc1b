import { LIMITS } from '../../../shared/limits.ts';
import type { Final, PeerReport } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { headOf } from '../../partition/stages.ts';
import { answer, type Office } from './office.ts';
import { holdersOf, isAbout } from './preparation.ts';
import { Watch } from './watch.ts';
import { counted } from './wording.ts';

const TESTING = 'Testing the model on samples it has not seen';
/** Announcements of progress in one evaluation. */
const ANNOUNCEMENTS = 20;

/** The end of a run: the model is tested as it lies, spread over the peers, and everybody gets the report. */
export class Conclusion {
  readonly watch: Watch;
  #announced = 0;

  constructor(
    private readonly office: Office,
    private readonly plan: Plan,
  ) {
    this.watch = new Watch(office.context.clock, plan);
  }

  /** One more test micro-batch of `micros` came through the head. */
  onEvaluated(micro: number, micros: number): void {
    this.watch.progressed();
    const share = (micro + 1) / micros;
    if (share < (this.#announced + 1) / ANNOUNCEMENTS) return;
    this.#announced = Math.floor(share * ANNOUNCEMENTS);
    this.office.announce('evaluating', TESTING, share);
  }

  /** False where somebody left or something broke in the meantime. */
  async conclude(stoppedEarly: boolean): Promise<boolean> {
    const { office, plan, watch } = this;
    const { context } = office;
    const trainingMs = context.record.lastStep?.t_ms ?? 0;
    office.announce('evaluating', TESTING, 0);
    const results = office.ask(
      holdersOf(plan),
      { type: 'evaluate', term: plan.term, version: plan.version },
      answer('evaluated', (message) => isAbout(message, plan)),
      LIMITS.run.evaluationTimeoutMs,
    );
    const ended = await Promise.race([results, watch.outcome.then(() => null)]);
    watch.happen({ kind: 'done' });
    office.assertHeld();
    const metrics = ended?.get(headOf(plan.stages))?.metrics;
    if (!metrics) return false;
    const share = ((100 * metrics.correct) / metrics.samples).toFixed(2);
    office.event('evaluated', `${share}% of ${metrics.samples} test samples are right.`);
    const final: Final = { metrics, stepsDone: plan.endStep, trainingMs, stoppedEarly };
    const peers = await this.#collectReports();
    for (const peer of context.alive())
      context.send(peer, { type: 'finished', term: office.term, final, peers });
    office.announce('finished', stoppedEarly ? `Stopped after ${counted(plan.endStep, 'step')}.` : '', 1);
    return true;
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
