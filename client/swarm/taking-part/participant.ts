import type { PeerId } from '../../../shared/ids.ts';
import type { PartFrame } from '../../../shared/frames.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { BlobName, Control, ControlOf, PeerReport, Scores } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { TASKS, type Task } from '../../data/tasks.ts';
import { modelGraph, type ParameterShape } from '../../model/graph.ts';
import { assignmentOf, planComplaint, type Assignment } from '../../pipeline/assignment.ts';
import { Ledger } from '../../pipeline/ledger.ts';
import { Timeline } from '../../pipeline/timeline.ts';
import { Traffic } from '../../pipeline/traffic.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Compute, LayerState, NamedArray } from '../../ports/compute.ts';
import type { Origin, Storage } from '../../ports/storage.ts';
import type { Transport } from '../../ports/transport.ts';
import { Engagement } from './engagement.ts';
import { isAbout } from '../conducting/preparation.ts';
import { measureDevice, type DeviceProfile } from './measuring.ts';
import { blockReport, NO_MEMORY, scoresOf } from './own-report.ts';
import { RoomData } from './room-data.ts';
import { encodeSpans } from '../record/timelines.ts';
import { decodeLayer, encodeLayer, Shelf, type Origin as PieceOrigin } from './shelf.ts';

export interface ParticipantContext {
  clock: Clock;
  transport: Transport;
  compute: Compute;
  storage: Storage;
  origin: Origin;
  /** The data sets there are. */
  tasks?: Readonly<Record<RunConfig['task'], Task>>;
  /** Faults that a run asked for begin, or end (null). */
  inject(config: RunConfig | null, run: number): void;
  alive(): PeerId[];
  fetchBlob(peer: PeerId, blob: BlobName): Promise<Uint8Array>;
  /** What the link to a peer carries, in bytes per second; Infinity where that is not known. */
  goodput(peer: PeerId): number;
  send(to: PeerId, message: Control): void;
  /** To whoever coordinates by then. */
  toCoordinator(message: Control): void;
  /** To everybody here, this peer included. */
  broadcast(message: Control): void;
}

/** What every peer does for a run: measure itself, keep data, hold a block, hand layers over. */
export class Participant {
  ledger = new Ledger();
  timeline = new Timeline();
  readonly #traffic = new Traffic();
  readonly #shelf = new Shelf();
  #engagement: Engagement | null = null;
  #data: RoomData | null = null;
  #run = 0;
  /** The plan that this peer got ready for last. */
  #prepared: { plan: Plan; config: RunConfig } | null = null;
  #stepsDone = 0;
  /** The block that the compute holds now, and whose piece of the model that is. */
  #held: { assignment: Assignment; origin: PieceOrigin; layers: string[] } | null = null;
  /** What it held and measured in training, where the block at hand is for a test alone. */
  #trained: Pick<PeerReport, 'blocks' | 'importance'> | null = null;
  /** Weights that this peer brought along for the next run. */
  #offered: readonly LayerState[] = [];
  /** Switches of plans and pauses happen one after the other, the newest wish overtakes those waiting. */
  #switching: Promise<void> = Promise.resolve();
  #latestWish = 0;

  constructor(private readonly context: ParticipantContext) {}

  get dataFetched() {
    return this.#data?.chunks.fetched ?? { fromServer: 0, fromPeers: 0, fromStorage: 0 };
  }

  /** Of the frames that its block wanted lately, the share that was there in time; null where it has no block. */
  get partsInTime(): number | null {
    return this.#engagement ? this.#traffic.inTime : null;
  }

  /** Weights of all layers, for a run that this peer is about to ask for; none: the run begins from its seed. */
  offer(weights: readonly LayerState[]): void {
    this.#offered = weights;
  }

  async profile(coordinator: PeerId, config: RunConfig): Promise<void> {
    const { memoryBytes, emulatedMs, onProcessor, grain } = this.context.compute.device;
    // An emulated device waits by operations, and the processor is free meanwhile.
    const device =
      emulatedMs === null
        ? { memoryBytes, onProcessor, grain }
        : { memoryBytes, onProcessor: false, grain: 1 };
    const answer = (measured: DeviceProfile, declined: string) =>
      this.context.send(coordinator, { type: 'profile-answer', ...device, ...measured, declined });
    try {
      answer(await measureDevice(this.context.compute, config), '');
    } catch (error) {
      answer({ costs: [], fixedShare: 0, taskMs: 0, msPerNumber: 0 }, messageOf(error));
    }
  }

  /** Gets ready for a plan: data, layers, block. */
  prepare(coordinator: PeerId, { plan, config }: ControlOf<'prepare'>): void {
    const key = { term: plan.term, version: plan.version };
    const refuse = (message: string) =>
      this.context.send(coordinator, { type: 'not-ready', ...key, message });
    const problem = planComplaint(plan, config);
    if (problem) {
      refuse(`the plan is refused: ${problem}`);
      return;
    }
    this.#switch(async (current) => {
      try {
        const onShare = (share: number) => this.context.send(coordinator, { type: 'loading', ...key, share });
        await this.#take(plan, config, onShare, current);
        if (current()) this.context.send(coordinator, { type: 'ready', ...key });
      } catch (error) {
        refuse(messageOf(error));
      }
    });
  }

  commit(message: ControlOf<'commit'>): void {
    if (!this.#prepared || !isAbout(message, this.#prepared.plan)) return;
    if (this.#engagement?.isTraining) {
      this.#engagement.tellAgain();
      return;
    }
    this.context.inject(this.#prepared.config, this.#run);
    this.#shelf.clear();
    this.#offered = [];
    this.#engagement?.beginTraining();
  }

  /** A peer is here, perhaps again. */
  meet(peer: PeerId): void {
    this.#engagement?.meet(peer);
  }

  /** Stops the block and says what state is here. */
  pause(coordinator: PeerId, { term, version }: ControlOf<'pause'>): void {
    this.#switch(async () => {
      const importance = await this.#importance();
      await this.#stopAndShelve();
      const holds = this.#shelf.list();
      this.context.send(coordinator, { type: 'paused', term, version, holds, importance });
    });
  }

  /** The room trains under a plan that this peer has no part in: its block is put by, in case it is needed. */
  release(): void {
    if (!this.#held) return;
    this.#switch(async () => {
      await this.#stopAndShelve();
      this.#held = null;
      await this.context.compute.unload();
    });
  }

  evaluate(key: ControlOf<'evaluate'>): void {
    if (this.#engagement && isAbout(key, this.#engagement.plan))
      this.#engagement.beginEvaluation(key.attempt, key.from);
  }

  evaluated(message: ControlOf<'evaluated'>): void {
    if (this.#engagement && isAbout(message, this.#engagement.plan))
      this.#engagement.evaluationCameThrough(message.attempt, message.micro);
  }

  /** Null when taken, otherwise why the frame is refused. */
  receivePart(from: PeerId, frame: PartFrame): string | null {
    return this.#engagement ? this.#engagement.receive(from, frame) : 'part-without-plan';
  }

  /** Null when taken, otherwise why the notice is refused. */
  hearOfParts(from: PeerId, message: ControlOf<'parts' | 'resend'>): string | null {
    if (!this.#engagement || !isAbout(message, this.#engagement.plan)) return 'part-other-plan';
    return message.type === 'parts'
      ? this.#engagement.hear(from, message)
      : this.#engagement.resend(from, message);
  }

  /** What this peer can hand to another. */
  async find(blob: BlobName): Promise<Uint8Array | undefined> {
    if (blob.kind === 'chunk') return this.#data?.chunks.local(blob);
    if (blob.kind === 'timeline')
      return blob.run === this.#run ? encodeSpans(this.timeline.spans()) : undefined;
    const state = this.#shelf.get(blob.layer) ?? this.#offered.find(({ layer }) => layer === blob.layer);
    if (state) return encodeLayer(state);
    return this.#held?.layers.includes(blob.layer)
      ? encodeLayer(await this.context.compute.read(blob.layer))
      : undefined;
  }

  /** The weights of its block as they are now, between two tasks. */
  async weights(): Promise<LayerState[]> {
    const layers = this.#held?.layers ?? [];
    const states = await Promise.all(layers.map((layer) => this.context.compute.read(layer)));
    return states.map((state) => ({ ...state, optimizer: [] }));
  }

  /** Parts sent and used under this plan so far. */
  get traffic(): PeerReport['traffic'] {
    return this.#traffic.counts();
  }

  /** What this peer holds and did, for the report. */
  async report(): Promise<
    Pick<PeerReport, 'blocks' | 'memory' | 'ledger' | 'staleness' | 'busyMs' | 'traffic' | 'importance'>
  > {
    return {
      ...(this.#trained ?? (await this.#own())),
      memory: await this.context.compute.memory().catch(() => NO_MEMORY),
      ledger: this.ledger.counts(),
      staleness: this.ledger.staleness(),
      busyMs: this.timeline.busyMs,
      traffic: this.#traffic.counts(),
    };
  }

  close(): void {
    this.#switch(async () => {
      await this.#engagement?.stop();
      this.#engagement = null;
      this.context.compute.close();
    });
  }

  #switch(act: (current: () => boolean) => Promise<void>): void {
    const wish = ++this.#latestWish;
    const current = () => wish === this.#latestWish;
    // One that fails must not keep the next from its turn.
    this.#switching = this.#switching
      .then(() => (current() ? act(current) : undefined))
      .catch(() => undefined);
  }

  async #take(
    plan: Plan,
    config: RunConfig,
    onShare: (share: number) => void,
    current: () => boolean,
  ): Promise<void> {
    if (plan.run !== this.#run) await this.#beginRun(plan.run);
    else await this.#stopAndShelve();
    const data = this.#dataFor(config);
    const readers = plan.stages[0].lanes;
    const others = plan.dataHomes.filter((peer) => !readers.includes(peer));
    const kept = data.keep({ readers, others }, onShare, current);
    // A run that goes on does not wait for that: what is read next comes from whoever has it.
    if (plan.startStep === 0) await kept;
    else kept.catch(() => undefined);
    if (!current()) return;
    const assignment = assignmentOf(plan, config, data.task, this.context.transport.self);
    const isForTest = plan.startStep === plan.endStep;
    this.#trained = isForTest ? (this.#trained ?? (await this.#own())) : null;
    this.#held = null;
    if (isForTest) this.#traffic.inTime = null;
    else this.#traffic.reset();
    this.#stepsDone = plan.startStep;
    this.#prepared = { plan, config };
    if (!assignment) {
      await this.context.compute.unload();
      return;
    }
    const states = await this.#gather(plan, config, assignment);
    await this.context.compute.load(assignment.block, states);
    const { stage, lane, block } = assignment;
    const layers = new Set(
      block.segments.flatMap(({ ops }) =>
        ops.filter(({ parameters }) => parameters.length > 0).map(({ layer }) => layer),
      ),
    );
    this.#held = { assignment, origin: { version: plan.version, stage, lane }, layers: [...layers] };
    this.#engagement = new Engagement(plan, config, assignment, {
      ...this.context,
      ledger: this.ledger,
      timeline: this.timeline,
      traffic: this.#traffic,
      data,
    });
  }

  /** The state of the layers to hold, from here or from the peers that the plan names. */
  async #gather(plan: Plan, config: RunConfig, assignment: Assignment): Promise<LayerState[]> {
    const { nodes } = modelGraph(config.model);
    const ops = assignment.block.segments.flatMap((segment) => segment.ops);
    const held = new Set(ops.flatMap((op) => op.parameters.map(({ name }) => name)));
    // A layer cut by rows has its bias elsewhere than its kernel: pieces of what is not held here are left out.
    const isHeld = ({ name }: NamedArray) => held.has(name.split(':')[0]);
    const wanted = plan.sources.filter(({ layer }) =>
      ops.some((op) => op.layer === layer && op.parameters.length > 0),
    );
    return Promise.all(
      wanted.map(async ({ layer, from }) => {
        const parameters = nodes.filter((node) => node.layer === layer).flatMap((node) => node.parameters);
        const state = await this.#piece(from, layer, parameters);
        return {
          ...state,
          parameters: state.parameters.filter(isHeld),
          optimizer: state.optimizer.filter(isHeld),
        };
      }),
    );
  }

  async #piece(from: PeerId, layer: string, parameters: readonly ParameterShape[]): Promise<LayerState> {
    const name = { kind: 'layer', layer } as const;
    const own = from === this.context.transport.self;
    const here = own ? this.#shelf.get(layer) : undefined;
    if (here) return here;
    const bytes = own ? await this.find(name) : await this.context.fetchBlob(from, name);
    if (!bytes) throw new Error(`This peer does not have layer ${layer} any more.`);
    return decodeLayer(bytes, layer, parameters);
  }

  async #stopAndShelve(): Promise<void> {
    if (this.#engagement) {
      const engagement = this.#engagement;
      this.#engagement = null;
      // A device that is lost has nothing to abandon, and its layers cannot be read.
      await engagement.stop().catch(() => undefined);
      this.#stepsDone = engagement.stepsDone;
    }
    this.#prepared = null;
    if (!this.#held) return;
    for (const layer of this.#held.layers) {
      if (this.#shelf.has(layer, this.#stepsDone)) continue;
      const state = await this.context.compute.read(layer).catch(() => undefined);
      if (state) this.#shelf.put(state, this.#stepsDone, this.#held.origin);
    }
  }

  /** What it holds and has measured. */
  async #own(): Promise<Pick<PeerReport, 'blocks' | 'importance'>> {
    return {
      blocks: this.#held ? [blockReport(this.#held.assignment)] : [],
      importance: await this.#importance(),
    };
  }

  async #importance(): Promise<Scores[]> {
    if (!this.#held) return [];
    return scoresOf(await this.context.compute.importance().catch(() => []));
  }

  async #beginRun(run: number): Promise<void> {
    await this.#engagement?.stop().catch(() => undefined);
    this.#engagement = null;
    this.#shelf.clear();
    for (const state of this.#offered) this.#shelf.put(state, 0, { version: 0, stage: 0, lane: 0 });
    this.#held = null;
    this.#trained = null;
    this.#prepared = null;
    this.#run = run;
    this.context.inject(null, run);
    this.#stepsDone = 0;
    this.ledger = new Ledger();
    this.timeline = new Timeline();
  }

  #dataFor(config: RunConfig): RoomData {
    const task = (this.context.tasks ?? TASKS)[config.task];
    if (this.#data?.task !== task) {
      this.#data = new RoomData(task, {
        self: this.context.transport.self,
        storage: this.context.storage,
        origin: this.context.origin,
        alive: () => this.context.alive(),
        goodput: (peer) => this.context.goodput(peer),
        clock: this.context.clock,
        fetchChunk: (peer, { file, chunk }) => this.context.fetchBlob(peer, { kind: 'chunk', file, chunk }),
      });
    }
    return this.#data;
  }
}

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 300);
