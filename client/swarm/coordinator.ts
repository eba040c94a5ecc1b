import { hashText } from '../../shared/counter-random.ts';
import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Control, Final, PeerReport } from '../../shared/schema/control.ts';
import type { Plan, Term } from '../../shared/schema/plan.ts';
import {
  describeDeparture,
  describePause,
  lostLayers,
  takeStock,
  type Departure,
  type Stock,
} from './mending.ts';
import { answer, Fenced, Office, type CoordinatorContext } from './office.ts';
import { isAbout, Preparation } from './preparation.ts';
import { Watch, type Outcome } from './watch.ts';

/**
 * Conducts the room's run for one term: agree on a plan, train under it, mend when somebody leaves, evaluate, report.
 * It computes no more than any other peer, and every wait in it ends.
 */
export class Coordinator {
  readonly #office: Office;
  #preparation: Preparation | null = null;
  #watch: Watch | null = null;
  #plan: Plan | null = null;
  #resume: (() => void) | null = null;
  #departures: Departure[] = [];
  #stopRequested = false;
  #conducting = false;
  #runs = 0;

  constructor(
    private readonly context: CoordinatorContext,
    term: Term,
  ) {
    this.#office = new Office(context, term);
  }

  /** A person asks for a run. */
  start(config: RunConfig): { accepted: boolean; message: string } {
    if (this.#conducting) return { accepted: false, message: 'A run is going on already. Stop it first.' };
    const { record } = this.context;
    record.begin(hashText(`${this.context.self}/${this.#office.term.counter}/${++this.#runs}`) || 1);
    this.#office.announce('preparing', 'Starting', 0, { config });
    this.#office.appoint(0);
    void this.#conduct(config, null);
    return { accepted: true, message: '' };
  }

  /** Goes on with the run of a coordinator that is gone. */
  takeOver(departures: readonly Departure[]): void {
    const { record } = this.context;
    if (!record.running || !record.config) return;
    this.#office.appoint((record.lastStep?.step ?? -1) + 1);
    this.#departures = [...departures];
    void this.#conduct(record.config, record.plan);
  }

  /** This peer outbid another with a newer term: everything goes on under it. */
  renew(term: Term): void {
    this.#office.renew(term);
  }

  /** A person asks to stop: training ends at the step it has reached, and the model is tested. */
  stop(): void {
    if (!this.#conducting) return;
    this.#stopRequested = true;
    this.#resume?.();
    this.#watch?.happen({ kind: 'stop' });
  }

  /** A person asks to go on with the rest after a pause. */
  goOn(): void {
    this.#resume?.();
  }

  onAlive(peer: PeerId): void {
    this.#office.brief(peer);
  }

  onGone(departure: Departure): void {
    this.#office.gone(departure.peer);
    if (!this.#conducting) return;
    this.#note(departure);
    if (this.#plan && holdersOf(this.#plan).includes(departure.peer))
      this.#watch?.happen({ kind: 'departed' });
  }

  receive(from: PeerId, message: Control): void {
    this.#preparation?.receive(from, message);
    if (this.#office.receive(from, message)) return;
    if (!this.#plan || !('version' in message) || !isAbout(message, this.#plan)) return;
    if (message.type === 'step' || message.type === 'evaluated-micro') this.#watch?.progressed();
    if (message.type === 'block-done') this.#watch?.blockDone(from);
    if (message.type === 'trouble') {
      const text = `${this.context.nameOf(from)}: ${message.message}`;
      this.#office.event('trouble', text, { peer: from });
      this.#watch?.happen({ kind: message.fatal ? 'fatal' : 'trouble', message: text });
    }
  }

  /** Another peer has the role now. */
  close(): void {
    this.#office.close();
    this.#watch?.happen({ kind: 'fenced' });
    this.#resume?.();
  }

  #note(departure: Departure): void {
    this.#departures.push(departure);
    const { peer, reason } = departure;
    this.#office.event('peer-left', describeDeparture(departure), { peer, reason });
  }

  async #conduct(config: RunConfig, inherited: Plan | null): Promise<void> {
    this.#conducting = true;
    this.#stopRequested = false;
    if (!inherited) this.#departures = [];
    try {
      await this.#runToTheEnd(config, inherited);
    } catch (error) {
      if (error instanceof Fenced) return;
      const message = error instanceof Error ? error.message : String(error);
      await this.#pauseBlocks().catch(() => undefined);
      this.#office.event('failed', message);
      this.#office.announce('failed', message, 0);
    } finally {
      this.#conducting = false;
      this.#plan = null;
    }
  }

  async #runToTheEnd(config: RunConfig, inherited: Plan | null): Promise<void> {
    this.#preparation = new Preparation(this.#office, config, inherited?.version ?? 0);
    this.#plan = inherited;
    let { steps } = config;
    let stock: Stock = { holders: new Map(), startStep: 0, behind: [] };
    if (inherited) stock = await this.#pause(inherited, 'the coordinator is gone', config);
    for (let mends = 0; mends <= LIMITS.run.mendsWithoutProgress;) {
      if (this.#stopRequested) steps = Math.max(1, stock.startStep);
      const plan = await this.#preparation.agree(stock.holders, stock.startStep, steps);
      const outcome = await this.#train(plan);
      if (outcome.kind === 'fatal') throw new Error(outcome.message);
      if (outcome.kind === 'done' && (await this.#evaluateAndReport(plan, steps))) return;
      const before = stock.startStep;
      stock = await this.#pause(plan, outcome.kind === 'trouble' ? outcome.message : '', config);
      mends = stock.startStep > before || this.#stopRequested ? 0 : mends + 1;
      // What broke shows in everybody's link table a heartbeat later, and the next plan is made from that table.
      if (outcome.kind === 'trouble') await this.#rest(LIMITS.run.troubleRestMs * (mends + 1));
    }
    throw new Error(`Training could not go on: ${this.context.record.message}`);
  }

  async #train(plan: Plan): Promise<Outcome> {
    this.#plan = plan;
    this.#departures = [];
    this.#watch = new Watch(this.context.clock, plan);
    this.#office.announce('training', '', 0, { plan });
    for (const peer of plan.dataHomes)
      this.context.send(peer, { type: 'commit', term: plan.term, version: plan.version });
    if (this.#stopRequested && plan.startStep === 0)
      this.#watch.happen({ kind: 'fatal', message: 'Stopped before the first step.' });
    return this.#outcome(this.#watch);
  }

  async #outcome(watch: Watch): Promise<Outcome> {
    const outcome = await watch.outcome;
    this.#office.assertHeld();
    return outcome;
  }

  /** Stops all blocks, learns what state there is, says what is lost, and waits for a person where the run asks for that. */
  async #pause(plan: Plan, reason: string, config: RunConfig): Promise<Stock> {
    this.#office.announce('paused', reason || 'Pausing', 0);
    const stock = takeStock(plan, await this.#pauseBlocks());
    if (this.#stopRequested && this.#departures.length === 0) {
      this.#office.event('stopped', `Stopped after step ${stock.startStep}.`);
      return stock;
    }
    const asks = this.#departures.length > 0 && config.onDeparture === 'ask';
    const message = describePause(plan, stock, this.#departures, reason, asks);
    this.#office.event('paused', message, { layers_lost: lostLayers(plan, stock), step: stock.startStep });
    this.#office.announce('paused', message, 0);
    if (asks && !this.#stopRequested) await new Promise<void>((resolve) => (this.#resume = resolve));
    this.#resume = null;
    this.#office.assertHeld();
    this.#office.event(
      'resumed',
      `Going on from step ${stock.startStep} with ${this.context.alive().length} peers.`,
    );
    return stock;
  }

  #rest(ms: number): Promise<void> {
    return new Promise<void>((resolve) => void this.context.clock.after(ms, resolve)).then(() =>
      this.#office.assertHeld(),
    );
  }

  async #pauseBlocks() {
    const plan = this.#plan;
    if (!plan) return new Map();
    const question = { type: 'pause', term: plan.term, version: plan.version } as const;
    const fits = answer('paused', (message) => isAbout(message, plan));
    return this.#office.ask(this.context.alive(), question, fits, LIMITS.run.answerTimeoutMs);
  }

  /** False where somebody left or something broke in the meantime: mend, then evaluate again. */
  async #evaluateAndReport(plan: Plan, steps: number): Promise<boolean> {
    const { record } = this.context;
    const trainingMs = record.lastStep?.t_ms ?? 0;
    const watch = (this.#watch = new Watch(this.context.clock, plan));
    this.#office.announce('evaluating', 'Testing the model on samples it has not seen', 0);
    const question = { type: 'evaluate', term: plan.term, version: plan.version } as const;
    const head = plan.stages.at(-1)!.lanes[0].peer;
    const results = this.#office.ask(
      holdersOf(plan),
      question,
      answer('evaluated', (message) => isAbout(message, plan)),
      LIMITS.run.evaluationTimeoutMs,
    );
    const result = (await Promise.race([results, watch.outcome.then(() => null)]))?.get(head);
    watch.happen({ kind: 'done' });
    this.#office.assertHeld();
    if (!result) return false;
    const { metrics } = result;
    const share = ((100 * metrics.correct) / metrics.samples).toFixed(2);
    this.#office.event('evaluated', `${share}% of ${metrics.samples} test samples are right.`);
    const final: Final = { metrics, stepsDone: steps, trainingMs, stoppedEarly: this.#stopRequested };
    const peers = await this.#collectReports();
    for (const peer of this.context.alive()) {
      this.context.send(peer, { type: 'finished', term: this.#office.term, final, peers });
    }
    this.#office.announce('finished', this.#stopRequested ? `Stopped after ${steps} steps.` : '', 1);
    return true;
  }

  async #collectReports(): Promise<PeerReport[]> {
    const peers = this.context.alive();
    const question = { type: 'report', term: this.#office.term } as const;
    const answers = await this.#office.ask(
      peers,
      question,
      answer('report-answer'),
      LIMITS.run.answerTimeoutMs,
    );
    return peers.flatMap((peer) => answers.get(peer)?.report ?? []);
  }
}

const holdersOf = (plan: Plan): PeerId[] =>
  plan.stages.flatMap((stage) => stage.lanes.map((lane) => lane.peer));
