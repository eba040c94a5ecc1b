import { hashText } from '../../../shared/counter-random.ts';
import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Control } from '../../../shared/schema/control.ts';
import type { Plan, Term } from '../../../shared/schema/plan.ts';
import { gridShortage } from '../../grid.ts';
import { Absences } from './absences.ts';
import { Conclusion } from './conclusion.ts';
import { describeDeparture, NOTHING, type Departure, type Stock } from './mending.ts';
import { Fenced, Office, type CoordinatorContext } from './office.ts';
import { Pausing } from './pausing.ts';
import { holdersOf, isAbout, Preparation } from './preparation.ts';
import { describeReplan } from './replanning.ts';
import { TestScore } from './test-score.ts';
import { Watch, type Outcome } from './watch.ts';

const STOPPED_AT_ONCE = 'Stopped before the first step.';
const GONE = 'The coordinator is gone.';
const DOING_WITHOUT = 'Its lanes are done without until it is heard again.';
const WAITING = 'The test waits for it.';
const REPLANNING = 'A new plan is made from what was measured.';

/**
 * Conducts the room's run for one term: agree on a plan, train under it, mend when somebody leaves, conclude. It computes
 * no more than any other peer, and every wait in it ends (but for a person who was asked).
 */
export class Coordinator {
  readonly #office: Office;
  readonly #pausing: Pausing;
  #preparation: Preparation | null = null;
  #conclusion: Conclusion | null = null;
  #watch: Watch | null = null;
  #plan: Plan | null = null;
  #conducting = false;
  #testing = false;
  /** The first plan is being agreed on: there is nothing yet that a Stop could keep. */
  #nothingDone = false;
  /** Steps that the person who started the run asked for. */
  #steps = 0;
  #runs = 0;
  /** The wish that the latest run fulfils. */
  #granted: { from: PeerId; wish: number } | null = null;
  /** The step before which a new plan is made by what was measured so far; null where none is due. */
  #replanAt: number | null = null;
  readonly #absences: Absences;

  constructor(
    private readonly context: CoordinatorContext,
    term: Term,
  ) {
    this.#office = new Office(context, term);
    this.#pausing = new Pausing(this.#office);
    this.#absences = new Absences(context);
  }

  /**
   * A person asks for a run.
   * @param wish names it: where the answer was late, the same wish comes again
   * @param bringsWeights whether `from` has the weights to begin with; otherwise they come from the seed
   */
  start(
    from: PeerId,
    wish: number,
    config: RunConfig,
    bringsWeights: boolean,
  ): { accepted: boolean; message: string } {
    const isKnown = this.#granted?.from === from && this.#granted.wish === wish;
    if (isKnown) return { accepted: true, message: '' };
    if (this.#conducting) return { accepted: false, message: 'A run is going on already. Stop it first.' };
    const shortage = gridShortage(config.grid, this.context.alive().length);
    if (shortage !== null) return { accepted: false, message: `The grid ${shortage}.` };
    const { self, record } = this.context;
    record.begin(hashText(`${self}/${this.#office.term.counter}/${++this.#runs}`) || 1);
    this.#office.announce('preparing', 'Starting', 0, { config });
    this.#office.appoint(0);
    this.#pausing.departures = [];
    this.#granted = { from, wish };
    void this.#conduct(config, null, bringsWeights ? from : null);
    return { accepted: true, message: '' };
  }

  /** Goes on with the run of a coordinator that is gone. */
  takeOver(departures: readonly Departure[]): void {
    const { record } = this.context;
    if (!record.running || !record.config) {
      // The old coordinator may not have reached everybody with the end of the run.
      this.#office.renew(this.#office.term);
      return;
    }
    this.#office.appoint((record.lastStep?.step ?? -1) + 1);
    this.#pausing.departures = [...departures];
    void this.#conduct(record.config, record.plan, null);
  }

  /** This peer outbid another with a newer term: everything goes on under it. */
  renew(term: Term): void {
    this.#office.renew(term);
  }

  /** A person asks to stop: training ends at the step it has reached, and the model is tested. */
  stop(): void {
    // A model that is being tested needs no stopping.
    if (!this.#conducting || this.#testing) return;
    this.#pausing.stopRequested = true;
    if (this.#nothingDone) this.#office.abandon(new Error(STOPPED_AT_ONCE));
    this.#pausing.resume();
    this.#watch?.happen({ kind: 'stop' });
  }

  /** A person wants a plan for everybody who is here now, by devices measured again and the importance of units so far. */
  replan(isAsked = true): void {
    // Between two plans there is nothing to interrupt: a new one is being made.
    if (this.#conducting && !this.#testing) this.#watch?.happen({ kind: 'replan', isAsked });
  }

  /** A person asks to go on with the rest after a pause. */
  goOn(): void {
    this.#pausing.resume();
  }

  onAlive(peer: PeerId): void {
    this.#office.brief(peer);
    if (this.#absences.end(peer)) {
      this.#watch?.back(peer);
      this.#office.event('peer-back', `${this.context.nameOf(peer)} is back.`, { peer });
      if (this.#testing) this.#conclusion?.onBack();
      else if (this.#plan) this.#commit(this.#plan, [peer]);
    }
    if (this.#pausing.departures.some((departure) => departure.peer === peer)) {
      this.#office.event('peer-back', `${this.context.nameOf(peer)} is back.`, { peer });
    }
  }

  onGone(departure: Departure): void {
    this.#office.gone(departure.peer);
    if (!this.#conducting) return;
    const { peer, reason } = departure;
    if (this.#plan && this.#absences.add(this.#plan, departure, this.#testing)) {
      this.#watch?.away(peer);
      const next = this.#testing ? WAITING : DOING_WITHOUT;
      this.#office.event('peer-away', `${describeDeparture(departure)} ${next}`, { peer, reason });
      return;
    }
    this.#pausing.departures.push(departure);
    this.#office.event('peer-left', describeDeparture(departure), { peer, reason });
    if (this.#plan && holdersOf(this.#plan).includes(peer)) this.#watch?.happen({ kind: 'departed' });
  }

  receive(from: PeerId, message: Control): void {
    this.#preparation?.receive(from, message);
    if (this.#office.receive(from, message)) return;
    if (!this.#plan || !('version' in message) || !isAbout(message, this.#plan)) return;
    if (message.type === 'step') {
      this.#watch?.progressed();
      if (message.step + 1 === this.#replanAt) this.replan(false);
    }
    if (message.type === 'evaluated') {
      this.#conclusion?.onEvaluated(from, message);
      // The head need not have a link to the first stage; everybody has one to the coordinator.
      for (const first of this.#plan.stages[0].lanes) {
        if (first !== this.context.self && from !== this.context.self) this.context.send(first, message);
      }
    }
    if (message.type === 'block-done') this.#watch?.blockDone(from);
    if (message.type === 'trouble') {
      const text = `${this.context.nameOf(from)}: ${message.message}`;
      this.#office.event('trouble', text, { peer: from });
      if (message.fatal) this.#watch?.happen({ kind: 'fatal', message: text });
      else if (this.#testing) this.#conclusion?.onTrouble(text);
      else this.#watch?.happen({ kind: 'trouble', message: text });
    }
  }

  /** Another peer has the role now. */
  close(): void {
    this.#office.close();
    this.#watch?.happen({ kind: 'fenced' });
    this.#pausing.resume();
  }

  async #conduct(config: RunConfig, inherited: Plan | null, weightsFrom: PeerId | null): Promise<void> {
    this.#conducting = true;
    this.#pausing.stopRequested = false;
    this.#plan = inherited;
    try {
      await this.#runToTheEnd(config, inherited, weightsFrom);
    } catch (error) {
      if (error instanceof Fenced) return;
      await this.#fail(error instanceof Error ? error.message : String(error));
    } finally {
      this.#conducting = false;
      this.#plan = null;
    }
  }

  async #runToTheEnd(config: RunConfig, inherited: Plan | null, weightsFrom: PeerId | null): Promise<void> {
    // Versions go on from run to run: a plan's term and version name it, and answers to an old one must not fit a new one.
    this.#preparation = new Preparation(
      this.#office,
      config,
      inherited?.version ?? this.#preparation?.version ?? 0,
    );
    this.#steps = config.steps;
    let endStep = inherited?.endStep ?? config.steps;
    // Somebody pressed Stop under the coordinator that is gone.
    if (endStep < config.steps) this.#pausing.stopRequested = true;
    let running = inherited && this.#canGoOn(inherited) ? inherited : null;
    let stock =
      inherited && !running
        ? await this.#pausing.pause(inherited, GONE, config)
        : { ...brought(config, weightsFrom), startStep: inherited?.startStep ?? 0 };
    this.#pausing.importance = inherited ? this.#pausing.importance : [];
    // Units of given weights differ from the start: a short while of training shows how.
    this.#replanAt = weightsFrom === null ? null : LIMITS.run.profilingSteps;
    let replaced: Plan | null = null;
    const score = new TestScore();
    let isTestLeft = false;
    for (let mends = 0; mends <= LIMITS.run.mendsWithoutProgress;) {
      if (this.#pausing.stopRequested) endStep = stock.startStep;
      if (endStep === 0) throw new Error(STOPPED_AT_ONCE);
      const isSameModel = stock.startStep === endStep && stock.lost.size + stock.behind.size === 0;
      if (!isSameModel) score.clear();
      const tested = score.next;
      this.#nothingDone = stock.startStep === 0;
      const { plan, ready } = running
        ? { plan: running, ready: true }
        : await this.#preparation.agree({
            ...stock,
            endStep,
            importance: this.#pausing.importance,
            isRetest: isTestLeft && config.rule === 'deadline',
          });
      this.#nothingDone = false;
      if (!ready) {
        stock = await this.#pausing.takeStock(plan, config);
        mends++;
        continue;
      }
      if (replaced && plan.startStep < plan.endStep) {
        const message = describeReplan(replaced, plan, config, (peer) => this.context.nameOf(peer));
        this.#office.event('replanned', message, { step: plan.startStep, version: plan.version });
      }
      let outcome = await this.#train(plan, running !== null);
      running = null;
      isTestLeft = outcome.kind === 'done';
      if (outcome.kind === 'done') {
        outcome = await this.#conclude(plan, score, config);
        if (outcome.kind === 'done') return;
      }
      if (outcome.kind === 'fatal') throw new Error(outcome.message);
      replaced = outcome.kind === 'replan' ? plan : null;
      if (outcome.kind === 'replan' && outcome.isAsked) this.#preparation.measureAgain();
      const before = stock.startStep;
      stock = await this.#pausing.pause(
        plan,
        outcome.kind === 'trouble' ? `${outcome.message}.` : outcome.kind === 'replan' ? REPLANNING : '',
        config,
      );
      const isFurther = stock.startStep > before || score.next > tested;
      mends = isFurther || outcome.kind === 'replan' ? 0 : mends + 1;
      // What broke shows in everybody's link table a heartbeat later, and the next plan is made from that table.
      if (outcome.kind === 'trouble') await this.#office.rest(LIMITS.run.troubleRestMs * (mends + 1));
    }
    throw new Error(`Training could not go on: ${this.context.record.message}`);
  }

  /** True where the plan of a coordinator that is not heard goes on as it is: for now it is done without that peer, as without any other. */
  #canGoOn(plan: Plan): boolean {
    const here = this.context.alive();
    const departures = this.#pausing.departures.filter(
      ({ peer }) => holdersOf(plan).includes(peer) && !here.includes(peer),
    );
    const canGoOn =
      this.context.record.toldPhase === 'training' &&
      !this.#pausing.stopRequested &&
      departures.every((departure) => this.#absences.add(plan, departure, false));
    if (canGoOn) this.#pausing.departures = [];
    else this.#absences.take();
    return canGoOn;
  }

  /** @param isRunning its blocks are at work already: another coordinator had begun it */
  async #train(plan: Plan, isRunning: boolean): Promise<Outcome> {
    this.#plan = plan;
    this.#pausing.departures = [];
    const watch = (this.#watch = new Watch(this.context.clock, plan));
    for (const peer of isRunning ? this.#absences.peers : []) watch.away(peer);
    this.#office.announce('training', '', 0, { plan });
    this.#commit(plan, plan.dataHomes);
    if (this.#pausing.stopRequested && plan.endStep > plan.startStep) watch.happen({ kind: 'stop' });
    const gone = holdersOf(plan).some(
      (peer) => !this.context.alive().includes(peer) && !this.#absences.peers.includes(peer),
    );
    if (gone) watch.happen({ kind: 'departed' });
    const outcome = await watch.outcome;
    this.#pausing.departures.push(...this.#absences.take());
    this.#office.assertHeld();
    return outcome;
  }

  /** Training begins; where it goes on already, blocks say once more how far they are. */
  #commit({ term, version }: Plan, peers: readonly PeerId[]): void {
    for (const peer of peers) this.context.send(peer, { type: 'commit', term, version });
  }

  async #conclude(plan: Plan, score: TestScore, { rule }: RunConfig): Promise<Outcome> {
    this.#conclusion = new Conclusion(this.#office, plan, score, rule === 'deadline');
    this.#watch = this.#conclusion.watch;
    this.#testing = true;
    try {
      return await this.#conclusion.conclude(plan.endStep < this.#steps);
    } finally {
      this.#testing = false;
      this.#pausing.departures.push(...this.#absences.take());
    }
  }

  async #fail(message: string): Promise<void> {
    this.#nothingDone = false;
    const { config } = this.context.record;
    if (this.#plan && config) await this.#pausing.takeStock(this.#plan, config).catch(() => undefined);
    this.#office.event('failed', message);
    this.#office.announce('failed', message, 0);
  }
}

/** What there is before the first step: nothing, or all layers at the peer that brought them. */
function brought({ model }: RunConfig, from: PeerId | null): Stock {
  return from === null
    ? NOTHING
    : { ...NOTHING, sources: model.layers.map(({ name }) => ({ layer: name, from })) };
}
