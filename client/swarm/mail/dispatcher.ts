import type { PeerId } from '../../../shared/ids.ts';
import type { Frame, PartFrame } from '../../../shared/frames.ts';
import type { Control, ControlOf } from '../../../shared/schema/control.ts';
import { PROTOCOL_VERSION } from '../../../shared/version.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Blobs } from '../taking-part/blobs.ts';
import type { Coordinator } from '../conducting/coordinator.ts';
import { headsOf } from '../../pipeline/assignment.ts';
import { routeOf, takesDetours } from '../../pipeline/detours.ts';
import { sameTerm, type Election } from '../membership/election.ts';
import type { GoodputProbe } from '../membership/goodput.ts';
import type { Liveness } from '../membership/liveness.ts';
import type { Participant } from '../taking-part/participant.ts';
import { holdersOf } from '../conducting/preparation.ts';
import type { RunRecord } from '../record/record.ts';

/** Messages that count only from the coordinator of the present term. */
const ORDERS = [
  'profile',
  'prepare',
  'commit',
  'pause',
  'evaluate',
  'report',
  'run-state',
  'event',
  'finished',
] as const;
type Order = ControlOf<(typeof ORDERS)[number]>;

const isOrder = (message: Control): message is Order => (ORDERS as readonly string[]).includes(message.type);

/** Messages that only a peer with a block has reason to send. */
const HOLDERS_ONLY: ReadonlySet<string> = new Set(['trouble', 'block-done']);

/** The parts of a peer that messages go to. */
export interface Destinations {
  self: PeerId;
  clock: Clock;
  record: RunRecord;
  liveness: Liveness;
  election: Election;
  probe: GoodputProbe;
  blobs: Blobs;
  participant: Participant;
  /** Null where this peer does not coordinate. */
  coordinator(): Coordinator | null;
  send(to: PeerId, message: Control): void;
  onHello(from: PeerId, message: ControlOf<'hello'>): void;
  /** A frame goes on to another peer, as far as the link takes it now. */
  passOn(to: PeerId, bytes: Uint8Array): void;
  onStartAnswer(message: ControlOf<'start-answer'>): void;
  onReportWanted(coordinator: PeerId): void;
  onTrained(): void;
}

/** Takes every checked message where it belongs, or says why it is refused: wrong sender, older term, other plan. */
export class Dispatcher {
  constructor(private readonly to: Destinations) {}

  /** Null when taken, otherwise why the frame is refused. */
  frame(from: PeerId, frame: Frame, bytes: Uint8Array): string | null {
    this.to.liveness.heard(from);
    if ('toLane' in frame && frame.toLane !== undefined)
      return this.#passedOn(from, frame, frame.toLane, bytes);
    if (frame.kind === 'blob') return this.to.blobs.receive(from, frame);
    if (frame.kind !== 'probe') return this.to.participant.receivePart(from, frame);
    this.to.probe.receive(from, frame);
    return null;
  }

  /** Null when taken, otherwise why the message is refused. */
  control(from: PeerId, message: Control): string | null {
    const { liveness, election, participant, blobs } = this.to;
    liveness.heard(from);
    if (isOrder(message)) return this.#order(from, message);
    switch (message.type) {
      case 'hello':
        if (message.protocol !== PROTOCOL_VERSION) return 'wrong-version';
        if (message.term) election.learn(message.term);
        this.to.onHello(from, message);
        return null;
      case 'heartbeat':
        liveness.heartbeat(from, message);
        if (message.term) election.learn(message.term);
        return null;
      case 'claim':
        if (message.term.peer !== from) return 'claim-for-another';
        election.learn(message.term);
        return null;
      case 'leave':
        liveness.left(from);
        return null;
      case 'start':
        this.to.send(from, { type: 'start-answer', ...this.#start(from, message) });
        return null;
      case 'start-answer':
        if (from !== election.term?.peer) return 'not-the-coordinator';
        this.to.onStartAnswer(message);
        return null;
      case 'stop':
        this.to.coordinator()?.stop();
        return null;
      case 'go-on':
        this.to.coordinator()?.goOn();
        return null;
      case 'replan':
        this.to.coordinator()?.replan();
        return null;
      case 'parts':
      case 'resend':
        return participant.hearOfParts(from, message);
      case 'step':
        return this.#step(from, message);
      case 'evaluated':
        if (!this.#holdsABlock(from) && from !== election.term?.peer) return 'not-a-holder';
        participant.evaluated(message);
        this.to.coordinator()?.receive(from, message);
        return null;
      case 'blob-request':
        void blobs.serve(from, message);
        return null;
      case 'blob-refused':
        blobs.refused(from, message);
        return null;
      default:
        return this.#answer(from, message);
    }
  }

  #answer(from: PeerId, message: Control): string | null {
    const coordinator = this.to.coordinator();
    if (!coordinator) return 'not-coordinating';
    if (HOLDERS_ONLY.has(message.type) && !this.#holdsABlock(from)) return 'not-a-holder';
    coordinator.receive(from, message);
    return null;
  }

  #holdsABlock(peer: PeerId): boolean {
    const { plan } = this.to.record;
    return plan !== null && holdersOf(plan).includes(peer);
  }

  #start(
    from: PeerId,
    { wish, config, weights }: ControlOf<'start'>,
  ): { accepted: boolean; retry: boolean; message: string } {
    const coordinator = this.to.coordinator();
    if (!coordinator) return { accepted: false, retry: true, message: 'Another peer coordinates now.' };
    return { ...coordinator.start(from, wish, config, weights), retry: false };
  }

  /** A frame that takes a detour: on to its receiver, or it is here. */
  #passedOn(from: PeerId, frame: PartFrame, toLane: number, bytes: Uint8Array): string | null {
    const { self, participant, record } = this.to;
    const { plan, config } = record;
    if (!plan || !config) return 'part-without-plan';
    if (!takesDetours(config)) return 'part-wrong-sender';
    const route = routeOf(plan, config, frame, toLane);
    if (typeof route === 'string') return route;
    if (route.to === self) return participant.receivePart(route.origin, frame);
    if (route.origin !== from) return 'part-wrong-sender';
    this.to.passOn(route.to, bytes);
    return null;
  }

  #step(from: PeerId, message: ControlOf<'step'>): string | null {
    const { record, clock } = this.to;
    const { plan, config } = record;
    if (!config || plan?.version !== message.version || !sameTerm(plan.term, message.term))
      return 'step-other-plan';
    if (!headsOf(plan, config).includes(from)) return 'step-not-from-a-head';
    if (message.metrics.samples === 0) return 'step-without-samples';
    if (record.addStep(message.step, message.metrics, clock.now()))
      this.to.coordinator()?.receive(from, message);
    return null;
  }

  /** Fencing: orders count only from the coordinator of the newest term that this peer knows. */
  #order(from: PeerId, message: Order): string | null {
    const { election, participant, record, clock } = this.to;
    if (from !== election.term?.peer) return 'not-the-coordinator';
    switch (message.type) {
      case 'profile':
        void participant.profile(from, message.config);
        break;
      case 'prepare':
        if (!sameTerm(message.plan.term, election.term)) return 'plan-of-another-term';
        participant.prepare(from, message);
        break;
      case 'commit':
        participant.commit(message);
        break;
      case 'pause':
        participant.pause(from, message);
        break;
      case 'evaluate':
        participant.evaluate(message);
        break;
      case 'report':
        this.to.onReportWanted(from);
        break;
      case 'run-state':
        record.apply(message, clock.now());
        if (message.phase === 'training') {
          this.to.onTrained();
          if (record.plan && !record.plan.dataHomes.includes(this.to.self)) participant.release();
        }
        break;
      case 'event':
        record.addEvent(message.event);
        break;
      case 'finished':
        record.final = message.final;
        record.peers = message.peers;
        break;
    }
    return null;
  }
}
