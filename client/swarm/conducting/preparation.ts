import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Control, ControlOf } from '../../../shared/schema/control.ts';
import type { Plan, Source } from '../../../shared/schema/plan.ts';
import { modelGraph } from '../../model/graph.ts';
import { holdersOf as holdersIn, layersOf } from '../../partition/stages.ts';
import { makePlan, type Device, type PlanRequest } from '../../planner/plan.ts';
import type { UnitScores } from './importance.ts';
import { centralities, rank } from '../membership/centrality.ts';
import { sameTerm } from '../membership/election.ts';
import { answer, type Office } from './office.ts';
import { counted } from './wording.ts';

/** What a plan is for. */
export interface Goal {
  /** Steps [startStep, endStep) are to be done. */
  startStep: number;
  endStep: number;
  /** Who has state of which layer. */
  sources: readonly Source[];
  importance: readonly UnitScores[];
  /** A test is all that is left, and the links are too bad for it: one peer makes it alone, where the model fits into one. */
  isRetest: boolean;
}

/** From a wish to a plan that every block holder is ready for: profile, plan, prepare. */
export class Preparation {
  /** What was measured; a peer without an entry was not profiled yet. */
  readonly #devices = new Map<PeerId, Omit<Device, 'steadiness'>>();
  /** Who takes no block, and why. */
  readonly #declined = new Map<PeerId, string>();
  readonly #loaded = new Map<PeerId, number>();
  /** Why peers did not get ready for the plan at hand; null while none is being prepared. */
  #refused: Map<PeerId, string> | null = null;
  #version: number;

  constructor(
    private readonly office: Office,
    private readonly config: RunConfig,
    lastVersion: number,
  ) {
    this.#version = lastVersion;
  }

  /** Of the latest plan. */
  get version(): number {
    return this.#version;
  }

  /**
   * A plan for everybody here to which every holder of a block has said `ready`. Peers that decline or drop out on the way are left
   * out. Rejects with a message for people.
   */
  async agree(goal: Goal): Promise<{ plan: Plan; ready: boolean }> {
    const { config } = this;
    for (let attempt = 0; attempt < LIMITS.room.peers; attempt++) {
      await this.#profile(config);
      const plan = this.#plan(goal);
      this.office.announce('preparing', this.#loadingMessage(), 0, { config, plan });
      if (await this.#prepare(plan, config)) {
        if (goal.startStep < goal.endStep)
          this.office.event('planned', this.#describe(plan), { version: plan.version });
        return { plan, ready: true };
      }
      // A layer's holder is gone: what state there is must be asked anew, and nobody else is to blame.
      if (this.#sourcesGone(plan)) return { plan, ready: false };
    }
    throw new Error('No plan could be agreed on: peers kept dropping out while they prepared.');
  }

  #describe({ stages }: Plan): string {
    const graph = modelGraph(this.config.model);
    const lines = stages.map((stage) => {
      const names = stage.lanes.map((peer) => this.#name(peer));
      return `${names.join(' and ')}: ${layersOf(graph, stage).join(', ')}`;
    });
    return `${counted(stages.length, 'stage')}. ${lines.join('; ')}`;
  }

  /** The next plan is made from devices as they are by then. */
  measureAgain(): void {
    // Whoever declined takes no block whatever it measures.
    this.#devices.clear();
  }

  receive(from: PeerId, message: Control): void {
    if (!this.#refused || !('version' in message) || message.version !== this.#version) return;
    if (message.type === 'loading') this.#onLoading(from, message.share);
    if (message.type === 'not-ready') {
      this.#refused.set(from, message.message);
      this.office.gone(from);
    }
  }

  #sourcesGone({ sources }: Plan): boolean {
    const alive = this.office.context.alive();
    return sources.some(({ from }) => !alive.includes(from));
  }

  async #profile(config: RunConfig): Promise<void> {
    const unknown = this.office.context
      .alive()
      .filter((peer) => !this.#devices.has(peer) && !this.#declined.has(peer));
    if (unknown.length === 0) return;
    this.office.announce('preparing', `Measuring ${counted(unknown.length, 'device')}, layer by layer`, 0, {
      config,
    });
    const question = { type: 'profile', term: this.office.term, config } as const;
    const answers = await this.office.ask(
      unknown,
      question,
      answer('profile-answer'),
      LIMITS.run.profileTimeoutMs,
    );
    for (const peer of unknown) this.#note(peer, answers.get(peer), config);
  }

  #note(peer: PeerId, profile: ControlOf<'profile-answer'> | undefined, config: RunConfig): void {
    const fits = profile?.costs.length === config.model.layers.length;
    if (profile) {
      const { costs, fixedShare, taskMs, msPerNumber, grain, onProcessor, memoryBytes } = profile;
      this.#devices.set(peer, {
        peer,
        layerCosts: costs,
        fixedShare,
        taskMs,
        msPerNumber,
        grain,
        onProcessor,
        memoryBytes,
      });
    }
    if (!profile) this.#decline(peer, 'it did not finish measuring in time');
    else if (profile.declined !== '') this.#decline(peer, profile.declined);
    else if (!fits) this.#decline(peer, 'it measured other layers than were asked');
  }

  #plan({ sources, startStep, endStep, importance, isRetest }: Goal): Plan {
    const { context, term } = this.office;
    const peers = context.alive();
    const devices = peers
      .filter((peer) => this.#devices.has(peer) && !this.#declined.has(peer))
      .map((peer) => ({ ...this.#devices.get(peer)!, steadiness: this.#steadiness(peer) }));
    if (devices.length === 0) throw new Error(`No peer takes a block. ${this.#reasons()}`);
    const request = {
      term,
      version: ++this.#version,
      run: context.record.run,
      startStep,
      endStep,
      config: isRetest
        ? { ...this.config, grid: null, partition: 'auto' as const }
        : this.#configFor(devices.length, startStep),
      devices,
      peers,
      sources: [...sources],
      links: context.links(),
      importance: [...importance],
    };
    const alone = isRetest ? this.#aloneAt(request) : null;
    return alone ?? makePlan(request);
  }

  /** The whole model at the best linked peer that it fits into; null where it fits into none. */
  #aloneAt(request: PlanRequest): Plan | null {
    const centrality = centralities(request.peers, this.office.context.links());
    const ranked = rank(centrality).flatMap(
      (peer) => request.devices.find((device) => device.peer === peer) ?? [],
    );
    for (const device of ranked) {
      try {
        return makePlan({ ...request, devices: [device] });
      } catch {
        // The next one may have more memory.
      }
    }
    return null;
  }

  /** A run that began in a grid goes on without it where too few are left. */
  #configFor(devices: number, startStep: number): RunConfig {
    const { grid } = this.config;
    const isTooLarge = grid !== null && grid.stages * grid.lanes > devices;
    return isTooLarge && startStep > 0 ? { ...this.config, grid: null } : this.config;
  }

  /** Whoever went away before is likelier to do so again. */
  #steadiness(peer: PeerId): number {
    const times = this.office.context.record.events.filter(
      (event) => event.type === 'peer-left' && event.peer === peer,
    ).length;
    return 1 / (1 + times);
  }

  async #prepare(plan: Plan, config: RunConfig): Promise<boolean> {
    this.#loaded.clear();
    const ready = answer('ready', (message) => isAbout(message, plan));
    const question = { type: 'prepare', plan, config } as const;
    const refused = (this.#refused = new Map<PeerId, string>());
    const answers = await this.office.ask(plan.dataHomes, question, ready, LIMITS.run.prepareTimeoutMs);
    this.#refused = null;
    if (!this.#sourcesGone(plan)) for (const [peer, reason] of refused) this.#decline(peer, reason);
    const alive = this.office.context.alive();
    const holders = holdersOf(plan);
    const late = holders.filter((peer) => !answers.has(peer) && alive.includes(peer) && !refused.has(peer));
    for (const peer of late) this.#decline(peer, 'it did not get ready in time');
    return holders.every((peer) => answers.has(peer) && alive.includes(peer));
  }

  #reasons(): string {
    return [...this.#declined]
      .map(([peer, reason]) => `${this.#name(peer)}: ${reason.replace(/\.$/, '')}.`)
      .join(' ');
  }

  #decline(peer: PeerId, reason: string): void {
    this.#declined.set(peer, reason);
    this.office.event('declined', `${this.#name(peer)} takes no block: ${reason}`, { peer });
  }

  #onLoading(from: PeerId, share: number): void {
    this.#loaded.set(from, share);
    const peers = this.office.context.alive();
    const mean = peers.reduce((sum, peer) => sum + (this.#loaded.get(peer) ?? 0), 0) / peers.length;
    this.office.announce('preparing', this.#loadingMessage(), mean);
  }

  #loadingMessage(): string {
    return `Loading data and blocks on ${counted(this.office.context.alive().length, 'peer')}`;
  }

  #name(peer: PeerId): string {
    return this.office.context.nameOf(peer);
  }
}

/** The peers that hold a block. */
export const holdersOf = (plan: Plan): PeerId[] => holdersIn(plan.stages);

/** True where a message is about exactly this plan. */
export function isAbout(message: { term: Plan['term']; version: number }, plan: Plan): boolean {
  return sameTerm(message.term, plan.term) && message.version === plan.version;
}
