import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { modelGraph } from '../../model/graph.ts';
import { unitScores, type UnitScores } from './importance.ts';
import { describeDeparture, describePause, takeStock, type Departure, type Stock } from './mending.ts';
import { answer, type Office } from './office.ts';
import { isAbout } from './preparation.ts';
import { counted } from './wording.ts';

/** A pause of the whole room: blocks stop, what state there is becomes known, a person may have to say how to go on. */
export class Pausing {
  /** Who left since the present plan began. */
  departures: Departure[] = [];
  stopRequested = false;
  /** Of units, as measured under the plan that was paused last; empty before any was. */
  importance: UnitScores[] = [];
  #resume: (() => void) | null = null;

  constructor(private readonly office: Office) {}

  /** A person said how to go on (or there is nothing to wait for any more). */
  resume(): void {
    this.#resume?.();
  }

  /** Stops all blocks, learns what state there is, says what is lost, and waits for a person where the run asks for that. */
  async pause(plan: Plan, reason: string, config: RunConfig): Promise<Stock> {
    const said = [reason, ...this.departures.map(describeDeparture)].filter((sentence) => sentence !== '');
    this.office.announce('paused', said.join(' '), 0);
    await this.#waitForTheSilent(config);
    const stock = await this.takeStock(plan, config);
    if (this.stopRequested && this.departures.length === 0) {
      this.office.event('stopped', `Stopped after ${counted(stock.startStep, 'step')}.`);
      return stock;
    }
    const asks = this.departures.length > 0 && config.onDeparture === 'ask' && !this.stopRequested;
    const message = describePause(stock, this.departures, reason, asks);
    this.office.event('paused', message, { layers_lost: [...stock.lost.keys()], step: stock.startStep });
    this.office.announce('paused', message, 0);
    if (asks) await new Promise<void>((resolve) => (this.#resume = resolve));
    this.#resume = null;
    this.office.assertHeld();
    const peers = counted(this.office.context.alive().length, 'peer');
    this.office.event('resumed', `Going on after ${counted(stock.startStep, 'step')} with ${peers}.`);
    // Whoever came back while a person thought about it brings its block along.
    return asks ? this.takeStock(plan, config) : stock;
  }

  /** Stops all blocks and asks what they hold. */
  async takeStock(plan: Plan, config: RunConfig): Promise<Stock> {
    const question = { type: 'pause', term: plan.term, version: plan.version } as const;
    const fits = answer('paused', (message) => isAbout(message, plan));
    const peers = this.office.context.alive();
    const answers = await this.office.ask(peers, question, fits, LIMITS.run.answerTimeoutMs);
    const graph = modelGraph(config.model);
    const measured = unitScores(
      graph,
      plan,
      [...answers.values()].flatMap(({ importance }) => importance),
    );
    if (measured.length > 0) this.importance = measured;
    return takeStock(graph, plan, answers);
  }

  /**
   * A starved device is silent for a moment and loses nothing if one waits for it; a dead one stays silent. Where most are silent, it is
   * this device that is out of reach: the others go on under its plan, and it takes part again if its block is as it was.
   */
  async #waitForTheSilent({ rule }: RunConfig): Promise<void> {
    const { context } = this.office;
    const { clock } = context;
    const { awayMs, returnMs, heartbeatMs } = LIMITS.liveness;
    const isBack = ({ peer }: Departure) => context.alive().includes(peer);
    const startMs = clock.now();
    const mostMs = () => (rule === 'deadline' && context.isCutOff() ? awayMs : returnMs);
    while (
      clock.now() - startMs < mostMs() &&
      this.departures.some((left) => left.reason !== 'left' && !isBack(left))
    ) {
      await this.office.rest(heartbeatMs);
    }
    this.departures = this.departures.filter((departure) => !isBack(departure));
  }
}
