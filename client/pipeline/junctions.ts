import type { PeerId } from '../../shared/ids.ts';
import type { PartFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Clock } from '../ports/clock.ts';
import type { Transport } from '../ports/transport.ts';
import type { Assignment, BoundaryView, LaneEnd } from './assignment.ts';
import { takesDetours } from './detours.ts';
import { Inbox, type Arrival } from './inbox.ts';
import { Notices, type PartsNotice } from './notices.ts';
import { Outbox, type OutboxOptions, type Request } from './outbox.ts';
import type { Patience } from './patience.ts';
import { packetsAtOnce, waysAgain, type LossyLink } from './redundancy.ts';
import type { Timeline } from './timeline.ts';
import type { Traffic } from './traffic.ts';

type Kind = 'forward' | 'backward';

export interface JunctionContext {
  plan: Plan;
  config: RunConfig;
  assignment: Assignment;
  clock: Clock;
  timeline: Timeline;
  transport: Transport;
  traffic: Traffic;
  /** Null where every part is waited for. */
  patience: Patience | null;
  /** Steps [first, last] for which parts may come now. */
  window(): [first: number, last: number];
  tell(to: PeerId, notice: PartsNotice): void;
  /** Asks a neighbour to send packets of a part again. */
  ask(to: PeerId, request: Request): void;
  /** A part could not be sent. */
  onLinkLost(): void;
}

/** Which micro-batch of a plan. */
export interface Item {
  step: number;
  micro: number;
}

type Gaps = Arrival['gaps'];

/** Where the parts of a block come in and go out in training, segment by segment (by their place among those that have work). */
export class Junctions {
  /** Per segment; null where nothing comes in from there. */
  readonly #inboxes: { forward: Inbox | null; backward: Inbox | null }[];
  readonly #outbox: Outbox;
  readonly #notices: Notices | null;
  /** By segment and micro-batch: what was not used forward, and so gets no gradient. */
  readonly #gaps = new Map<string, Gaps>();
  /** Since when parts could not leave for a peer because its link is gone. */
  readonly #goneSinceMs = new Map<PeerId, number>();

  constructor(private readonly context: JunctionContext) {
    const { plan, assignment, clock, transport, traffic, patience } = context;
    this.#inboxes = assignment.segments.map(({ before, after }) => ({
      forward: before && this.#inbox('forward', before),
      backward: after && this.#inbox('backward', { ...after, ends: after.gradientEnds }),
    }));
    const tell = (to: PeerId, notice: PartsNotice) => context.tell(to, notice);
    this.#notices = patience && new Notices(clock, tell, (peer) => patience.lossOf(peer).told());
    this.#outbox = new Outbox(
      transport,
      plan,
      assignment.lane,
      plan.wire,
      traffic,
      ({ kind, boundary, step, micro }, data) =>
        this.#inboxOf(kind, boundary.index)!.addOwn(step, micro, assignment.lane, data),
      patience ? this.#waysOut(patience) : {},
    );
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(from: PeerId, frame: PartFrame): string | null {
    const inbox = this.#inboxOf(frame.kind, frame.boundary);
    return inbox ? inbox.add(from, frame) : 'part-wrong-boundary';
  }

  /** Null when taken, otherwise why the notice is refused. */
  hear(from: PeerId, { streams, loss }: PartsNotice): string | null {
    this.context.patience?.hearOfLoss(from, loss);
    for (const { kind, boundary, lane, step, micro, fewer } of streams) {
      const inbox = this.#inboxOf(kind, boundary);
      const complaint = inbox ? inbox.hear(from, lane, step, micro, fewer) : 'part-wrong-boundary';
      if (complaint !== null) return complaint;
    }
    return null;
  }

  /** A neighbour is heard again: it is told how far this block is. */
  tellAgain(peer: PeerId): void {
    this.#notices?.again(peer);
  }

  /** Null when taken, otherwise why the request is refused. */
  resend(from: PeerId, request: Request): string | null {
    const side = request.kind === 'forward' ? 'after' : 'before';
    const view = this.context.assignment.segments.find((one) => one[side]?.index === request.boundary);
    const ends = request.kind === 'forward' ? 'ends' : 'gradientEnds';
    if (!view?.[side]?.[ends].some(({ peer }) => peer === from)) return 'part-wrong-boundary';
    this.#outbox.resend(from, request);
    return null;
  }

  /** Asks again for what should have come; gives when the next request is due, Infinity for never. */
  chase(): number {
    return Math.min(
      ...this.#inboxes.flatMap(({ forward, backward }) => [
        forward?.chase() ?? Infinity,
        backward?.chase() ?? Infinity,
      ]),
    );
  }

  /** When a pass has all that it takes from a boundary, or goes on without; -Infinity where it takes nothing. */
  dueMs(kind: Kind, segment: number, { step, micro }: Item): number {
    return this.#inboxes[segment][kind]?.dueMs(step, micro) ?? -Infinity;
  }

  /** True where whoever takes the output of a segment is done with a micro-batch already. */
  isPassed(segment: number, { step, micro }: Item): boolean {
    const { patience, transport } = this.context;
    return (
      patience !== null && (this.#inboxes[segment].backward?.isPassed(step, micro, transport.self) ?? false)
    );
  }

  /** What is due; null where the pass takes nothing from a boundary. */
  take(kind: Kind, segment: number, { step, micro }: Item): Arrival | null {
    const arrival = this.#inboxes[segment][kind]?.take(step, micro) ?? null;
    if (kind === 'forward' && arrival && arrival.gaps.size > 0)
      this.#gaps.set(keyOf(segment, { step, micro }), arrival.gaps);
    return arrival;
  }

  /** A pass is left out: what came for it goes, and nobody beyond waits for what it would have given. */
  skip(kind: Kind, segment: number, item: Item): void {
    this.#inboxes[segment][kind]?.skip(item.step, item.micro);
    this.sendNothing(kind, segment, item);
  }

  /** The output of a segment goes on, or the gradient of its input goes back. */
  send(kind: Kind, segment: number, item: Item, data: Float32Array): void {
    const { assignment } = this.context;
    const boundary = this.#exitOf(kind, segment);
    if (!boundary) return;
    const gaps = kind === 'backward' ? this.#takeGaps(segment, item) : undefined;
    const startMs = this.context.clock.now();
    const what = { kind, boundary, ...item };
    void this.#outbox
      .send({
        ...what,
        ends: boundary.ends,
        rows: assignment.block.rows,
        data,
        ...(gaps && { gaps }),
        ...(kind === 'forward' && { isStale: () => this.isPassed(segment, item) }),
        onSent: (end, { bytes, packets, isSaid }) => {
          if (bytes > 0) this.#record('send', what, end, bytes, startMs);
          this.#notices?.sent(end.peer, this.#stream(kind, boundary), item, packets, isSaid);
        },
      })
      .then((lost) => this.#noteLinks(boundary.ends, lost));
  }

  /** The same where there is nothing to send. */
  sendNothing(kind: Kind, segment: number, item: Item): void {
    if (kind === 'backward') this.#takeGaps(segment, item);
    const boundary = this.#exitOf(kind, segment);
    for (const { peer, lane } of boundary?.ends ?? []) {
      const id = this.#stream(kind, boundary!);
      if (peer !== this.context.transport.self) this.#notices?.sent(peer, id, item, 0);
      else
        this.#inboxOf(kind, boundary!.index)!.hear(peer, lane, item.step, item.micro, [
          { ...item, packets: 0 },
        ]);
    }
  }

  clear(): void {
    this.#notices?.close();
    this.#outbox.clear();
    this.#gaps.clear();
    for (const { forward, backward } of this.#inboxes) {
      forward?.clear();
      backward?.clear();
    }
  }

  /** Parts for `lost` did not leave: their links are gone. Where parts may be lost, links are given time to mend. */
  #noteLinks(ends: readonly LaneEnd[], lost: readonly PeerId[]): void {
    const { patience, clock } = this.context;
    for (const { peer } of ends) {
      if (!lost.includes(peer)) {
        this.#goneSinceMs.delete(peer);
        continue;
      }
      const sinceMs = this.#goneSinceMs.get(peer) ?? clock.now();
      this.#goneSinceMs.set(peer, sinceMs);
      if (patience?.rule !== 'deadline' || clock.now() - sinceMs > LIMITS.liveness.awayMs)
        this.context.onLinkLost();
    }
  }

  #takeGaps(segment: number, item: Item): Gaps | undefined {
    const key = keyOf(segment, item);
    const gaps = this.#gaps.get(key);
    this.#gaps.delete(key);
    return gaps;
  }

  /** Peers that could pass on what goes to another, and what is gone of what goes to them: where nothing comes from there, as elsewhere. */
  #detours(to: PeerId, patience: Patience): { peer: PeerId; gone: number }[] {
    const peers = this.context.transport.peers().filter((peer) => peer !== to);
    const losses = peers.map((peer) => ({
      peer,
      gone: patience.isLossKnown(peer) ? patience.lossTo(peer).gone : null,
    }));
    const known = losses.flatMap(({ gone }) => gone ?? []);
    if (known.length === 0) known.push(patience.lossTo(to).gone);
    const usual = known.reduce((sum, gone) => sum + gone, 0) / known.length;
    return losses.map(({ peer, gone }) => ({ peer, gone: gone ?? usual }));
  }

  /** How parts go out where some may be lost. */
  #waysOut(patience: Patience): OutboxOptions {
    const { clock, config } = this.context;
    return {
      lineMs: patience.rule === 'stall' ? Infinity : patience.capMs,
      // Nobody is further ahead of a receiver than this; once over, for those who answer late.
      keeps: patience.requests > 0 ? 2 * patience.inFlight : 0,
      packetsAtOnce: (to) => packetsAtOnce(patience.lossTo(to)),
      waysAgain: takesDetours(config)
        ? (to, bytes) => waysAgain(to, bytes, this.#linkTo(to, patience), this.#detours(to, patience))
        : () => [],
      now: () => clock.now(),
    };
  }

  #linkTo(peer: PeerId, patience: Patience): LossyLink {
    return { ...patience.lossTo(peer), isSlow: this.context.transport.isSlow?.(peer) ?? false };
  }

  #exitOf(kind: Kind, segment: number): BoundaryView | null {
    const { before, after } = this.context.assignment.segments[segment];
    return kind === 'forward' ? after : before && { ...before, ends: before.gradientEnds };
  }

  #stream(kind: Kind, { index }: BoundaryView) {
    return { kind, boundary: index, lane: this.context.assignment.lane };
  }

  #inbox(kind: Kind, boundary: BoundaryView): Inbox {
    const { assignment, clock, config, patience, plan, traffic, transport } = this.context;
    return new Inbox({
      kind,
      boundary,
      format: plan.wire,
      rows: () => assignment.block.rows,
      micros: config.microBatches,
      window: () => this.context.window(),
      now: () => clock.now(),
      onWhole: ({ step, micro, end, bytes, startMs }) =>
        this.#record('receive', { kind, boundary, step, micro }, end, bytes, startMs),
      onMissing: ({ peer }, step, micro, packets, attempt) =>
        this.context.ask(peer, { kind, boundary: boundary.index, step, micro, packets, attempt }),
      onUsed: ({ peer }, wanted, sent, used) => {
        if (peer !== transport.self) traffic.used(boundary.index, kind, wanted, sent, used);
      },
      ...(patience && { patience }),
    });
  }

  #record(
    kind: 'send' | 'receive',
    { kind: way, boundary, step, micro }: Item & { kind: Kind; boundary: BoundaryView },
    { peer }: LaneEnd,
    bytes: number,
    startMs: number,
  ): void {
    const { clock, timeline } = this.context;
    const where = { way, boundary: boundary.index, peer };
    timeline.add({ kind, step, micro, startMs, endMs: clock.now(), ...where, bytes });
  }

  #inboxOf(kind: PartFrame['kind'], boundary: number): Inbox | null {
    const side = kind === 'forward' ? 'before' : 'after';
    if (kind === 'evaluation') return null;
    const segment = this.context.assignment.segments.findIndex((view) => view[side]?.index === boundary);
    return segment < 0 ? null : this.#inboxes[segment][kind];
  }
}

const keyOf = (segment: number, { step, micro }: Item): string => `${segment}/${step}/${micro}`;
