import * as v from 'valibot';
import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import { Refusals } from '../../shared/refusals.ts';
import { complaint } from '../../shared/schema/common.ts';
import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';
import type { Control, ControlOf, PeerReport } from '../../shared/schema/control.ts';
import type { Term } from '../../shared/schema/plan.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import { TASKS, type Task } from '../data/tasks.ts';
import { modelGraph, parameterCount, sizeOf, widthOf } from '../model/graph.ts';
import { layersOf } from '../partition/stages.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { Span } from '../../shared/schema/timeline.ts';
import type { Clock } from '../ports/clock.ts';
import type { Compute, LayerState } from '../ports/compute.ts';
import type { Origin, Storage } from '../ports/storage.ts';
import type { Transport } from '../ports/transport.ts';
import { Blobs } from './taking-part/blobs.ts';
import { centralities, mostCentral } from './membership/centrality.ts';
import { collectModel } from './record/collect-model.ts';
import { Coordinator } from './conducting/coordinator.ts';
import { FaultyTransport } from './faults/faulty-transport.ts';
import { Dispatcher } from './mail/dispatcher.ts';
import { ClockOffsets } from './membership/clock-offsets.ts';
import { Election } from './membership/election.ts';
import { GoodputProbe } from './membership/goodput.ts';
import { LinkTable } from './membership/link-table.ts';
import { Liveness } from './membership/liveness.ts';
import { Mail } from './mail/mail.ts';
import { describeDeparture, type Departure } from './conducting/mending.ts';
import { Participant } from './taking-part/participant.ts';
import { RunRecord } from './record/record.ts';
import { makeReport } from './record/report.ts';
import { collectTimelines, decodeSpans } from './record/timelines.ts';
import { replanObstacle } from './record/replan-obstacle.ts';
import { viewRun, type Introduction, type PeerView, type SwarmSnapshot } from './record/snapshot.ts';

/** Everything from outside, and who this peer is. */
export interface SwarmPorts {
  clock: Clock;
  transport: Transport;
  compute: Compute;
  storage: Storage;
  origin: Origin;
  me: Introduction;
  /** The data sets there are; MNIST where left out. */
  tasks?: Readonly<Record<RunConfig['task'], Task>>;
}

/** Messages that change nothing a person could see. */
const QUIET: ReadonlySet<string> = new Set([
  'heartbeat',
  'parts',
  'resend',
  'evaluated',
  'blob-request',
  'blob-refused',
]);

/** One peer of a room: the whole engine, wired. Knows nothing of browsers; the simulation runs the same. */
export class Swarm {
  readonly self: PeerId;
  readonly record = new RunRecord();
  readonly refusals = new Refusals();
  readonly #transport: FaultyTransport;
  readonly #mail: Mail;
  readonly #table: LinkTable;
  readonly #clocks = new ClockOffsets();
  readonly #liveness: Liveness;
  readonly #election: Election;
  readonly #probe: GoodputProbe;
  readonly #blobs: Blobs;
  readonly #participant: Participant;
  readonly #dispatcher: Dispatcher;
  /** Everybody that was ever here, for the names in messages. */
  readonly #introductions = new Map<PeerId, Introduction>();
  /** Peers that said hello over their present link and have not said good-bye. */
  readonly #introduced = new Set<PeerId>();
  readonly #listeners = new Set<() => void>();
  #coordinator: Coordinator | null = null;
  #departures: Departure[] = [];
  #settledSinceMs: number | null = null;
  #answerStart: ((answer: ControlOf<'start-answer'>) => void) | null = null;
  #wishes = 0;
  #closed = false;

  constructor(private readonly ports: SwarmPorts) {
    const { clock } = ports;
    const transport = new FaultyTransport(ports.transport, clock, (peer) => this.#nameOf(peer));
    this.#transport = transport;
    this.self = transport.self;
    this.#introductions.set(this.self, ports.me);
    this.#table = new LinkTable(this.self);
    this.#mail = new Mail(transport, clock, this.refusals, {
      onControl: (from, message) => this.#onControl(from, message),
      onFrame: (from, frame, bytes) => this.#dispatcher.frame(from, frame, bytes),
      onOpen: (peer) => this.#greet(peer),
      onClose: (peer) => {
        this.#introduced.delete(peer);
        this.#blobs.forget(peer);
        this.#table.unlink(peer);
        this.#liveness.unlinked(peer);
      },
    });
    this.#liveness = new Liveness(
      clock,
      this.#table,
      this.#clocks,
      () => transport.peers(),
      (to, message) => this.#send(to, message),
      () => this.#election.term,
      (peer) => this.#introduced.has(peer),
      (peer) => transport.heardAtMs(peer),
      {
        onAlive: (peer) => this.#onAlive(peer),
        onGone: (peer, reason) => this.#onGone(peer, reason),
        onBeat: () => this.#onBeat(),
      },
    );
    this.#election = new Election(
      this.self,
      clock,
      () => ({
        alive: this.#alive(),
        links: this.#table.links(this.#alive()),
        complete: this.#table.complete(this.#alive()),
        running: this.record.running,
        mayLead: (peer) => this.record.crew.has(peer),
        heardByOthers: (peer) => this.#table.reachedByOthers(peer, this.#liveness.alive()),
        cutOff: this.#isCutOff(),
      }),
      (term, centrality) => this.#broadcast({ type: 'claim', term, centrality }),
      (term) => this.#onTerm(term),
    );
    this.#probe = new GoodputProbe(clock, transport, (peer, rate) => this.#table.sampleGoodput(peer, rate));
    this.#blobs = new Blobs(
      clock,
      transport,
      (to, message) => this.#send(to, message),
      (name) => this.#participant.find(name),
    );
    this.#participant = new Participant({
      ...ports,
      transport,
      inject: (config, run) => transport.inject(config?.faults ?? null, config?.seed ?? 0, run),
      alive: () => this.#alive(),
      fetchBlob: (peer, blob) =>
        this.#alive().includes(peer)
          ? this.#blobs.fetch(peer, blob)
          : Promise.reject(new Error(`Could not fetch from ${peer}: that peer is gone.`)),
      goodput: (peer) => this.#goodput(peer),
      send: (to, message) => void this.#send(to, message),
      toCoordinator: (message) => this.#toCoordinator(message),
      broadcast: (message) => this.#broadcast(message),
    });
    this.#dispatcher = new Dispatcher({
      self: this.self,
      clock,
      record: this.record,
      liveness: this.#liveness,
      election: this.#election,
      probe: this.#probe,
      blobs: this.#blobs,
      participant: this.#participant,
      coordinator: () => this.#coordinator,
      send: (to, message) => void this.#send(to, message),
      passOn: (to, bytes) => void transport.send(to, 'data', bytes.slice()),
      onHello: (from, { name, device }) => {
        this.#introductions.set(from, { name, device });
        this.#introduced.add(from);
        // A rebuilt link is measured anew; for a peer that was not here, that happens when it comes alive.
        if (this.#liveness.alive().includes(from)) this.#probe.probe(from);
        this.#liveness.greet(from);
      },
      onStartAnswer: (message) => this.#answerStart?.(message),
      onReportWanted: (coordinator) => void this.#sendReport(coordinator),
      onTrained: () => (this.#departures = []),
    });
    this.#mail.listen();
  }

  /** Calls back after every change that a person could see; returns how to stop that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  snapshot(): SwarmSnapshot {
    const { clock } = this.ports;
    const settled =
      this.#settledSinceMs !== null && clock.now() - this.#settledSinceMs >= 2 * LIMITS.election.settleMs;
    return {
      self: this.self,
      peers: this.#alive().map((peer) => this.#viewPeer(peer)),
      links: this.#table.links(this.#alive()),
      term: this.#election.term,
      settled,
      run: viewRun(this.record, this.#participant.partsInTime),
      refused: this.refusals.counts(),
    };
  }

  /** What this peer did lately. */
  spans(): readonly Span[] {
    return this.#participant.timeline.spans();
  }

  /** Parts that this peer sent and used under the plan so far. */
  get traffic(): PeerReport['traffic'] {
    return this.#participant.traffic;
  }

  /** The weights of this peer's block as they are now. */
  weights(): Promise<LayerState[]> {
    return this.#participant.weights();
  }

  get dataFetched(): { fromServer: number; fromPeers: number; fromStorage: number } {
    return this.#participant.dataFetched;
  }

  /**
   * Asks the coordinator for a run. Rejects with a message for people.
   * @param weights of all layers, where training goes on from them instead of from the seed
   */
  async start(config: RunConfig, weights: readonly LayerState[] = []): Promise<void> {
    const checked = v.safeParse(RunConfigSchema, config);
    if (!checked.success) throw new Error(`This run cannot be started: ${complaint(checked.issues)}`);
    assertTrainable(checked.output, this.ports.tasks ?? TASKS);
    this.#participant.offer(weights);
    const wish = ++this.#wishes;
    const answered = new Promise<ControlOf<'start-answer'> | null>((resolve) => {
      this.#answerStart = (answer) => {
        if (!answer.retry) resolve(answer);
      };
    });
    for (let attempt = 0; attempt < LIMITS.election.startAttempts; attempt++) {
      this.#toCoordinator({ type: 'start', wish, config: checked.output, weights: weights.length > 0 });
      const answer = await Promise.race([answered, this.#pause(LIMITS.election.claimTimeoutMs)]);
      if (answer?.accepted) return;
      if (answer) throw new Error(answer.message);
    }
    throw new Error('The room has no coordinator yet. Wait until everybody is linked, then try again.');
  }

  /** Ends training at the step it has reached; the model is tested as it is. */
  stop(): void {
    this.#toCoordinator({ type: 'stop' });
  }

  /**
   * A new plan for everybody who is here now, by what is measured by then; training goes on from where it is. Throws a message for
   * people where there is nothing to plan anew.
   */
  replan(): void {
    const obstacle = replanObstacle(this.record);
    if (obstacle !== '') throw new Error(`No new plan now. ${obstacle}`);
    this.#toCoordinator({ type: 'replan' });
  }

  /** Goes on with the rest after a pause. */
  goOn(): void {
    this.#toCoordinator({ type: 'go-on' });
  }

  /** The state of all layers, fetched from the peers that hold them. Rejects where a layer is held by nobody. */
  collectModel(): Promise<{ config: RunConfig; layers: LayerState[] }> {
    return collectModel(this.record, async (holder, layer) => {
      const name = { kind: 'layer', layer } as const;
      return holder === this.self ? this.#participant.find(name) : this.#blobs.fetch(holder, name);
    });
  }

  /** The report of the finished run, with the timelines of all who are here. Rejects with a message for people before that. */
  async report(): Promise<Report> {
    const { record } = this;
    makeReport(record);
    const timelines = await collectTimelines(record, this.self, this.#clocks, async (peer) => {
      if (peer === this.self) return this.spans();
      return decodeSpans(await this.#blobs.fetch(peer, { kind: 'timeline', run: record.run }));
    });
    return makeReport(record, timelines);
  }

  /** Says good-bye and ends everything that was started. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const peer of this.#transport.peers()) this.#send(peer, { type: 'leave' });
    this.#liveness.close();
    this.#coordinator?.close();
    this.#blobs.close();
    this.#participant.close();
    this.#transport.close();
  }

  #alive(): PeerId[] {
    return [this.self, ...this.#liveness.alive()].sort();
  }

  #send(to: PeerId, message: Control): boolean {
    return this.#mail.send(to, message);
  }

  #broadcast(message: Control): void {
    for (const peer of this.#alive()) this.#send(peer, message);
  }

  #toCoordinator(message: Control): void {
    const term = this.#election.term;
    if (term) this.#send(term.peer, message);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }

  #viewPeer(peer: PeerId): PeerView {
    const { plan, config } = this.record;
    const stage = plan?.stages.find(({ lanes }) => lanes.includes(peer));
    return {
      id: peer,
      ...this.#introductions.get(peer)!,
      isSelf: peer === this.self,
      isCoordinator: this.#election.term?.peer === peer,
      layers: stage && config ? layersOf(modelGraph(config.model), stage) : [],
    };
  }

  #nameOf(peer: PeerId): string {
    return this.#introductions.get(peer)?.name ?? peer;
  }

  #greet(peer: PeerId): void {
    const { term } = this.#election;
    this.#send(peer, { type: 'hello', protocol: PROTOCOL_VERSION, term, ...this.ports.me });
  }

  #onAlive(peer: PeerId): void {
    this.#probe.probe(peer);
    this.#coordinator?.onAlive(peer);
    this.#participant.meet(peer);
    this.#changed();
  }

  #onGone(peer: PeerId, reason: Departure['reason']): void {
    const departure: Departure = { peer, name: this.#nameOf(peer), reason, atMs: this.ports.clock.now() };
    if (reason === 'left') this.#introduced.delete(peer);
    this.#blobs.forget(peer);
    this.#probe.forget(peer);
    if (this.record.running) {
      this.#departures.push(departure);
      // Nobody else is there to announce it.
      if (peer === this.#election.term?.peer) this.#noteLocally('peer-left', describeDeparture(departure));
    }
    this.#coordinator?.onGone(departure);
    this.#changed();
  }

  #onBeat(): void {
    this.#probe.beat(this.record.running);
    this.#election.consider();
    const alive = this.#alive();
    const term = this.#election.term;
    const centrality = centralities(alive, this.#table.links(alive));
    if (term && !alive.includes(term.peer)) {
      if (this.#isCutOff()) this.record.detach('the others');
      else if (this.#table.reachedByOthers(term.peer, alive)) this.record.detach('the coordinator');
    }
    const steady =
      term !== null &&
      alive.includes(term.peer) &&
      this.#table.complete(alive) &&
      centrality.get(mostCentral(centrality))! <= LIMITS.election.clearlyBetter * centrality.get(term.peer)!;
    this.#settledSinceMs = steady ? (this.#settledSinceMs ?? this.ports.clock.now()) : null;
    this.#changed();
  }

  /** True where a run goes on and this peer hears only the smaller part of those who take part in it. */
  #isCutOff(): boolean {
    const { running, plan } = this.record;
    if (!running || !plan) return false;
    const heard = plan.dataHomes.filter((peer) => this.#alive().includes(peer));
    return 2 * heard.length < plan.dataHomes.length;
  }

  #noteLocally(type: string, message: string): void {
    this.record.addEvent({ t_ms: this.record.elapsedMs(this.ports.clock.now()), type, message });
  }

  #onTerm(term: Term): void {
    this.#settledSinceMs = null;
    if (term.peer === this.self && this.#coordinator) {
      this.#coordinator.renew(term);
      return;
    }
    this.#coordinator?.close();
    this.#coordinator = null;
    if (term.peer === this.self) {
      this.#coordinator = new Coordinator(
        {
          self: this.self,
          clock: this.ports.clock,
          record: this.record,
          alive: () => this.#alive(),
          isCutOff: () => this.#isCutOff(),
          links: () => this.#table.links(this.#alive()),
          nameOf: (peer) => this.#nameOf(peer),
          send: (to, message) => void this.#send(to, message),
        },
        term,
      );
      this.#coordinator.takeOver(this.#departures);
    }
    this.#changed();
  }

  #goodput(peer: PeerId): number {
    const link = this.#table.links([this.self, peer]).find(({ a, b }) => a === peer || b === peer);
    return link?.goodput ?? Infinity;
  }

  #pause(ms: number): Promise<null> {
    return new Promise((resolve) => void this.ports.clock.after(ms, () => resolve(null)));
  }

  #onControl(from: PeerId, message: Control): string | null {
    if (this.#closed) return null;
    const refused = this.#dispatcher.control(from, message);
    if (!QUIET.has(message.type)) this.#changed();
    return refused;
  }

  async #sendReport(to: PeerId): Promise<void> {
    const { bytesSent, messagesSent } = this.#transport.stats();
    this.#send(to, {
      type: 'report-answer',
      report: {
        id: this.self,
        ...this.ports.me,
        ...(await this.#participant.report()),
        wire: { bytesSent, messagesSent },
        refused: this.refusals.total,
      },
    });
  }
}

/** Throws a message for people where the layers do not fit each other or the model is too large for any room. */
function assertTrainable({ model, task }: RunConfig, tasks: Readonly<Record<RunConfig['task'], Task>>): void {
  const { nodes, input } = modelGraph(model);
  const { classes, inputShape } = tasks[task];
  if (widthOf(input) !== sizeOf(inputShape)) {
    throw new Error(
      `${model.name} takes ${widthOf(input)} numbers, but a sample of ${task} has ${sizeOf(inputShape)}.`,
    );
  }
  const scores = widthOf(nodes.at(-1)!.output);
  if (scores !== classes)
    throw new Error(`${model.name} gives ${scores} scores, but ${task} has ${classes} classes.`);
  const parameters = parameterCount(nodes);
  if (parameters > LIMITS.run.parameters) {
    throw new Error(
      `${model.name} has ${parameters} parameters; at most ${LIMITS.run.parameters} can be trained.`,
    );
  }
}
