import type { PeerId } from '../../../shared/ids.ts';
import type { PartFrame } from '../../../shared/frames.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { BlobName, Control, ControlOf, PeerReport } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { TASKS, type Task } from '../../data/tasks.ts';
import { modelShapes, type LayerShape } from '../../model/shapes.ts';
import { assignmentOf, planComplaint, type Assignment } from '../../pipeline/assignment.ts';
import { Ledger } from '../../pipeline/ledger.ts';
import { Timeline } from '../../pipeline/timeline.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Compute, LayerState, MemoryUse } from '../../ports/compute.ts';
import type { Origin, Storage } from '../../ports/storage.ts';
import type { Transport } from '../../ports/transport.ts';
import { Engagement } from './engagement.ts';
import { isAbout } from '../conducting/preparation.ts';
import { RoomData } from './room-data.ts';
import { decodeLayer, encodeLayer, Shelf } from './shelf.ts';

export interface ParticipantContext {
  clock: Clock;
  transport: Transport;
  compute: Compute;
  storage: Storage;
  origin: Origin;
  /** The data sets there are. */
  tasks?: Readonly<Record<RunConfig['task'], Task>>;
  alive(): PeerId[];
  fetchBlob(peer: PeerId, blob: BlobName): Promise<Uint8Array>;
  send(to: PeerId, message: Control): void;
  /** To everybody here, this peer included. */
  broadcast(message: Control): void;
}

/** What every peer does for a run: measure itself, keep data, hold a block, hand layers over. */
export class Participant {
  ledger = new Ledger();
  timeline = new Timeline();
  readonly #shelf = new Shelf();
  #engagement: Engagement | null = null;
  #data: RoomData | null = null;
  #run = 0;
  /** The plan that this peer got ready for last. */
  #prepared: Plan | null = null;
  #stepsDone = 0;
  /** Layers that the compute holds now. */
  #held: string[] = [];
  /** Switches of plans and pauses happen one after the other, the newest wish overtakes those waiting. */
  #switching: Promise<void> = Promise.resolve();
  #latestWish = 0;

  constructor(private readonly context: ParticipantContext) {}

  get dataFetched() {
    return this.#data?.chunks.fetched ?? { fromServer: 0, fromPeers: 0, fromStorage: 0 };
  }

  async profile(coordinator: PeerId, config: RunConfig): Promise<void> {
    try {
      const layers = modelShapes(config.model).map((shape) => ({ ...shape, units: allUnits(shape) }));
      const costs = await this.context.compute.profile(layers, config.batch / config.microBatches);
      this.context.send(coordinator, { type: 'profile-answer', costs, declined: '' });
    } catch (error) {
      this.context.send(coordinator, { type: 'profile-answer', costs: [], declined: messageOf(error) });
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
        await this.#take(plan, config, coordinator, onShare, current);
        if (current()) this.context.send(coordinator, { type: 'ready', ...key });
      } catch (error) {
        refuse(messageOf(error));
      }
    });
  }

  commit(message: ControlOf<'commit'>): void {
    if (!this.#prepared || !isAbout(message, this.#prepared)) return;
    this.#shelf.clear();
    this.#engagement?.beginTraining();
  }

  /** Stops the block and says what state is here. */
  pause(coordinator: PeerId, { term, version }: ControlOf<'pause'>): void {
    this.#switch(async () => {
      await this.#stopAndShelve();
      this.context.send(coordinator, { type: 'paused', term, version, holds: this.#shelf.list() });
    });
  }

  /** The room trains under a plan that this peer has no part in: its block is put by, in case it is needed. */
  release(): void {
    if (this.#held.length === 0) return;
    this.#switch(async () => {
      await this.#stopAndShelve();
      this.#held = [];
      await this.context.compute.unload();
    });
  }

  evaluate(key: ControlOf<'evaluate'>): void {
    if (this.#engagement && isAbout(key, this.#engagement.plan)) this.#engagement.beginEvaluation();
  }

  evaluatedMicro(message: ControlOf<'evaluated-micro'>): void {
    if (this.#engagement && isAbout(message, this.#engagement.plan))
      this.#engagement.evaluationCameThrough(message.micro);
  }

  /** Null when taken, otherwise why the frame is refused. */
  receivePart(from: PeerId, frame: PartFrame): string | null {
    return this.#engagement ? this.#engagement.receive(from, frame) : 'part-without-plan';
  }

  /** What this peer can hand to another. */
  async find(blob: BlobName): Promise<Uint8Array | undefined> {
    if (blob.kind === 'chunk') return this.#data?.chunks.local(blob);
    const state = this.#shelf.get(blob.layer);
    if (state) return encodeLayer(state);
    return this.#held.includes(blob.layer)
      ? encodeLayer(await this.context.compute.read(blob.layer))
      : undefined;
  }

  /** What this peer holds and did, for the report. */
  async report(
    config: RunConfig | null,
  ): Promise<Pick<PeerReport, 'blocks' | 'memory' | 'ledger' | 'busyMs'>> {
    const shapes = config ? modelShapes(config.model) : [];
    const parameters = shapes
      .filter((shape) => this.#held.includes(shape.spec.name))
      .flatMap((shape) => shape.parameters);
    return {
      blocks: this.#held.length > 0 ? [{ layers: this.#held, parameters }] : [],
      memory: await this.context.compute.memory().catch(() => NO_MEMORY),
      ledger: this.ledger.counts(),
      busyMs: this.timeline.busyMs,
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
    coordinator: PeerId,
    onShare: (share: number) => void,
    current: () => boolean,
  ): Promise<void> {
    if (plan.run !== this.#run) await this.#beginRun(plan.run);
    else await this.#stopAndShelve();
    const data = this.#dataFor(config);
    await data.keep(plan.dataHomes, onShare, current);
    if (!current()) return;
    const assignment = assignmentOf(plan, config, data.task, this.context.transport.self);
    this.#held = [];
    this.#stepsDone = plan.startStep;
    this.#prepared = plan;
    if (!assignment) {
      await this.context.compute.unload();
      return;
    }
    const states = await this.#gather(plan, config, assignment);
    await this.context.compute.load(assignment.block, states);
    this.#held = assignment.block.layers.map((layer) => layer.spec.name);
    this.#engagement = new Engagement(plan, config, assignment, {
      ...this.context,
      ledger: this.ledger,
      timeline: this.timeline,
      data,
      coordinator,
    });
  }

  /** The state of the layers to hold, from here or from the peers that the plan names. */
  async #gather(plan: Plan, config: RunConfig, assignment: Assignment): Promise<LayerState[]> {
    const shapes = new Map(modelShapes(config.model).map((shape) => [shape.spec.name, shape]));
    const wanted = plan.sources.filter(
      ({ layer, from }) => from !== 'seed' && assignment.block.layers.some(({ spec }) => spec.name === layer),
    );
    return Promise.all(
      wanted.map(async ({ layer, from }) => {
        const here = from === this.context.transport.self ? this.#shelf.get(layer) : undefined;
        if (here) return here;
        const bytes = await this.context.fetchBlob(from, { kind: 'layer', layer });
        return decodeLayer(bytes, shapes.get(layer)!);
      }),
    );
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
    for (const layer of this.#held) {
      if (this.#shelf.has(layer, this.#stepsDone)) continue;
      const state = await this.context.compute.read(layer).catch(() => undefined);
      if (state) this.#shelf.put(state, this.#stepsDone);
    }
  }

  async #beginRun(run: number): Promise<void> {
    await this.#engagement?.stop().catch(() => undefined);
    this.#engagement = null;
    this.#shelf.clear();
    this.#held = [];
    this.#prepared = null;
    this.#run = run;
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
        fetchChunk: (peer, { file, chunk }) => this.context.fetchBlob(peer, { kind: 'chunk', file, chunk }),
      });
    }
    return this.#data;
  }
}

/** A peer that stands by holds no tensors. */
const NO_MEMORY: MemoryUse = {
  tensors: 0,
  bytes: 0,
  peakBytes: 0,
  accounted: { parametersBytes: 0, gradientsBytes: 0, optimizerBytes: 0, activationsBytes: 0 },
};

const allUnits = (shape: LayerShape): [number, number] => [0, shape.outputShape.at(-1)!];

const messageOf = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).slice(0, 300);
