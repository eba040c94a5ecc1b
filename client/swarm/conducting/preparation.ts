import type { PeerId } from '../../../shared/ids.ts';
import { LIMITS } from '../../../shared/limits.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Control, ControlOf } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { makePlan } from '../../planner/plan.ts';
import type { TransferTime } from '../../planner/vertical.ts';
import { REFERENCE_MESSAGE_BYTES, transferMs } from '../membership/centrality.ts';
import { sameTerm } from '../membership/election.ts';
import { answer, type Office } from './office.ts';
import { counted } from './wording.ts';

/** From a wish to a plan that every block holder is ready for: profile, plan, prepare. */
export class Preparation {
  /** Measured ms per layer; a peer without an entry was not profiled yet. */
  readonly #layerMs = new Map<PeerId, number[]>();
  readonly #declined = new Set<PeerId>();
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
   * A plan for everybody here, for steps [startStep, endStep), from the state that `holders` have, to which every holder of a block
   * has said `ready`. Peers that decline or drop out on the way are left out. Rejects with a message for people.
   */
  async agree(
    holders: ReadonlyMap<string, PeerId>,
    startStep: number,
    endStep: number,
  ): Promise<{ plan: Plan; ready: boolean }> {
    const { config } = this;
    for (let attempt = 0; attempt < LIMITS.room.peers; attempt++) {
      await this.#profile(config);
      const plan = this.#plan(holders, startStep, endStep);
      this.office.announce('preparing', this.#loadingMessage(), 0, { config, plan });
      if (await this.#prepare(plan, config)) {
        if (startStep < endStep)
          this.office.event('planned', this.#describe(plan), { version: plan.version });
        return { plan, ready: true };
      }
      // A layer's holder is gone: what state there is must be asked anew, and nobody else is to blame.
      if (this.#sourcesGone(plan)) return { plan, ready: false };
    }
    throw new Error('No plan could be agreed on: peers kept dropping out while they prepared.');
  }

  #describe({ stages }: Plan): string {
    const lines = stages.map(({ layers, lanes }) => `${this.#name(lanes[0].peer)}: ${layers.join(', ')}`);
    return `${counted(stages.length, 'stage')}. ${lines.join('; ')}`;
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
    return sources.some(({ from }) => from !== 'seed' && !alive.includes(from));
  }

  async #profile(config: RunConfig): Promise<void> {
    const unknown = this.office.context.alive().filter((peer) => !this.#layerMs.has(peer));
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
    const layerMs = profile?.costs.map((cost) => Math.max(cost.forwardMs + cost.backwardMs, 1e-6)) ?? [];
    const fits = config.model.layers.every((layer, i) => profile?.costs[i]?.layer === layer.name);
    this.#layerMs.set(peer, layerMs);
    if (!profile) this.#decline(peer, 'it did not finish measuring in time');
    else if (profile.declined !== '') this.#decline(peer, profile.declined);
    else if (!fits) this.#decline(peer, 'it measured other layers than were asked');
  }

  #plan(holders: ReadonlyMap<string, PeerId>, startStep: number, endStep: number): Plan {
    const { context, term } = this.office;
    const peers = context.alive();
    const devices = peers
      .filter((peer) => this.#layerMs.has(peer) && !this.#declined.has(peer))
      .map((peer) => ({ peer, layerMs: this.#layerMs.get(peer)! }));
    return makePlan({
      term,
      version: ++this.#version,
      run: context.record.run,
      startStep,
      endStep,
      config: this.config,
      devices,
      peers,
      holders,
      transferTime: this.#transferTime(),
    });
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

  #decline(peer: PeerId, reason: string): void {
    this.#declined.add(peer);
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

  /** From the same links as the election; peers without a link are infinitely far apart. */
  #transferTime(): TransferTime {
    const links = new Map(this.office.context.links().map((link) => [`${link.a}/${link.b}`, link]));
    return (from, to, bytes) => {
      const link = links.get(from < to ? `${from}/${to}` : `${to}/${from}`);
      if (!link) return Infinity;
      return transferMs({ ...link, rttMs: 0 }) * (bytes / REFERENCE_MESSAGE_BYTES) + link.rttMs / 2;
    };
  }
}

/** The peers that hold a block. */
export const holdersOf = (plan: Plan): PeerId[] =>
  plan.stages.flatMap((stage) => stage.lanes.map((lane) => lane.peer));

/** True where a message is about exactly this plan. */
export function isAbout(message: { term: Plan['term']; version: number }, plan: Plan): boolean {
  return sameTerm(message.term, plan.term) && message.version === plan.version;
}
