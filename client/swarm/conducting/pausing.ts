import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { ControlOf } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { modelGraph } from '../../model/graph.ts';
import { unitScores, type UnitScores } from './importance.ts';
import { describeDeparture, describePause, takeStock, type Departure, type Stock } from './mending.ts';
import { answer, type Office } from './office.ts';
import { holdersOf, isAbout } from './preparation.ts';
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
    const back = await this.#waitForTheSilent(config);
    const stock = await this.takeStock(plan, config);
    if (this.stopRequested && this.departures.length === 0) {
      this.office.event('stopped', `Stopped after ${counted(stock.startStep, 'step')}.`);
      return stock;
    }
    const asks = this.departures.length > 0 && config.onDeparture === 'ask' && !this.stopRequested;
    const why = reason || back.map((departure) => `${describeDeparture(departure)} It is back.`).join(' ');
    const message = describePause(stock, this.departures, why, asks);
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

  /** Stops all blocks and asks what they hold. What would be lost with a peer that may only be out of reach is asked for again for a while. */
  async takeStock(plan: Plan, config: RunConfig): Promise<Stock> {
    const { context } = this.office;
    const question = { type: 'pause', term: plan.term, version: plan.version } as const;
    const fits = answer('paused', (message) => isAbout(message, plan));
    const graph = modelGraph(config.model);
    const answers = new Map<PeerId, ControlOf<'paused'>>();
    const startMs = context.clock.now();
    for (;;) {
      const asked = context.alive().filter((peer) => !answers.has(peer));
      const given = await this.office.ask(asked, question, fits, LIMITS.run.answerTimeoutMs);
      for (const [peer, message] of given) answers.set(peer, message);
      if (takeStock(graph, plan, answers).lost.size === 0) break;
      const awaited = holdersOf(plan).filter(
        (peer) => !answers.has(peer) && this.#mayComeBack(peer, config, startMs),
      );
      if (awaited.length === 0) break;
      const names = awaited.map((peer) => context.nameOf(peer)).join(' and ');
      this.office.announce('paused', `Waiting for ${names}: nobody else has what it learnt.`, 0);
      await this.office.rest(LIMITS.liveness.heartbeatMs);
    }
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
   * this device that is out of reach: the others go on under its plan, and it takes part again if its block is as it was. Gives those who came back.
   */
  async #waitForTheSilent({ rule }: RunConfig): Promise<Departure[]> {
    const { context } = this.office;
    const { clock } = context;
    const { awayMs, returnMs, heartbeatMs } = LIMITS.liveness;
    const isBack = ({ peer }: Departure) => context.alive().includes(peer);
    const isAwaited = (left: Departure) => {
      const mostMs = rule === 'deadline' && context.isCutOff() ? awayMs : returnMs;
      return left.reason !== 'left' && !isBack(left) && clock.now() < left.atMs + mostMs;
    };
    while (this.departures.some(isAwaited)) await this.office.rest(heartbeatMs);
    const back = this.departures.filter(isBack);
    this.departures = this.departures.filter((departure) => !isBack(departure));
    return back;
  }

  /** True where parts may be late, and so may a peer; for so long as training would have done without it. */
  #mayComeBack(peer: PeerId, { rule }: RunConfig, startMs: number): boolean {
    const left = this.departures.find((departure) => departure.peer === peer);
    if (rule !== 'deadline' || left?.reason === 'left') return false;
    return this.office.context.clock.now() < (left?.atMs ?? startMs) + LIMITS.liveness.awayMs;
  }
}
