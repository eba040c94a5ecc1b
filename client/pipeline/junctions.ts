import type { PeerId } from '../../shared/ids.ts';
import type { PartFrame } from '../../shared/frames.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Clock } from '../ports/clock.ts';
import type { Transport } from '../ports/transport.ts';
import type { Assignment, BoundaryView, LaneEnd } from './assignment.ts';
import { Inbox, type Arrival } from './inbox.ts';
import { Outbox } from './outbox.ts';
import type { Timeline } from './timeline.ts';
import type { Traffic } from './traffic.ts';

type Kind = 'forward' | 'backward';

/** A part on its way, as fault injection sees it: `from` and `to` are lanes in the direction that it goes. */
export interface PartOnTheWay {
  kind: Kind;
  boundary: number;
  step: number;
  micro: number;
  from: PeerId;
  to: PeerId;
}

export interface JunctionContext {
  plan: Plan;
  config: RunConfig;
  assignment: Assignment;
  clock: Clock;
  timeline: Timeline;
  transport: Transport;
  traffic: Traffic;
  isLost?: ((part: PartOnTheWay) => boolean) | undefined;
  /** Steps [first, last] for which parts may come now. */
  window(): [first: number, last: number];
  /** A part could not be sent. */
  onLinkLost(): void;
}

/** Which micro-batch of a plan. */
export interface Item {
  step: number;
  micro: number;
}

/** Where the parts of a block come in and go out in training, segment by segment (by their place among those that have work). */
export class Junctions {
  /** Per segment; null where nothing comes in from there. */
  readonly #inboxes: { forward: Inbox | null; backward: Inbox | null }[];
  readonly #outbox: Outbox;

  constructor(private readonly context: JunctionContext) {
    const { plan, config, assignment, transport, traffic } = context;
    this.#inboxes = assignment.segments.map(({ before, after }) => ({
      forward: before && this.#inbox('forward', before),
      backward: after && this.#inbox('backward', after),
    }));
    this.#outbox = new Outbox(
      transport,
      plan,
      assignment.lane,
      config.wire,
      traffic,
      ({ kind, boundary, step, micro }, data) =>
        this.#inboxOf(kind, boundary.index)!.addOwn(step, micro, assignment.lane, data),
    );
  }

  /** Null when taken, otherwise why the frame is refused. */
  receive(from: PeerId, frame: PartFrame): string | null {
    const inbox = this.#inboxOf(frame.kind, frame.boundary);
    return inbox ? inbox.add(from, frame) : 'part-wrong-boundary';
  }

  /** True where all is here that a pass takes from a boundary, if it takes anything. */
  has(kind: Kind, segment: number, { step, micro }: Item): boolean {
    return this.#inboxes[segment][kind]?.has(step, micro) ?? true;
  }

  /** What `has` said is here; null where the pass takes nothing from a boundary. */
  take(kind: Kind, segment: number, { step, micro }: Item): Arrival | null {
    return this.#inboxes[segment][kind]?.take(step, micro) ?? null;
  }

  /** The output of a segment goes on, or the gradient of its input goes back. */
  send(kind: Kind, segment: number, { step, micro }: Item, data: Float32Array): void {
    const { assignment, isLost, transport } = this.context;
    const { before, after } = assignment.segments[segment];
    const boundary = kind === 'forward' ? after : before;
    if (!boundary) return;
    const wasUsed = ({ peer }: LaneEnd) =>
      peer === transport.self ||
      !isLost?.({ kind: 'forward', boundary: boundary.index, step, micro, from: peer, to: transport.self });
    // What was not used forward gets no gradient.
    const ends = kind === 'backward' ? boundary.ends.filter(wasUsed) : boundary.ends;
    const startMs = this.context.clock.now();
    const what = { kind, boundary, step, micro };
    void this.#outbox
      .send({
        ...what,
        ends,
        rows: assignment.block.rows,
        data,
        onSent: (end, bytes) => this.#record('send', what, end, bytes, startMs),
      })
      .then((sent) => {
        if (!sent) this.context.onLinkLost();
      });
  }

  clear(): void {
    for (const { forward, backward } of this.#inboxes) {
      forward?.clear();
      backward?.clear();
    }
  }

  #inbox(kind: Kind, boundary: BoundaryView): Inbox {
    const { assignment, clock, config, isLost } = this.context;
    return new Inbox({
      kind,
      boundary,
      format: config.wire,
      rows: () => assignment.block.rows,
      micros: config.microBatches,
      window: () => this.context.window(),
      now: () => clock.now(),
      onWhole: ({ step, micro, end, bytes, startMs }) =>
        this.#record('receive', { kind, boundary, step, micro }, end, bytes, startMs),
      ...(isLost && { isLost: (step, micro, end) => this.#isLost(kind, boundary, { step, micro }, end) }),
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

  /** A gradient is missing, too, where what it would be for never came. */
  #isLost(kind: Kind, boundary: BoundaryView, { step, micro }: Item, end: LaneEnd): boolean {
    const { isLost, transport } = this.context;
    if (!isLost || end.peer === transport.self) return false;
    const there: PartOnTheWay = {
      kind,
      boundary: boundary.index,
      step,
      micro,
      from: end.peer,
      to: transport.self,
    };
    if (isLost(there)) return true;
    return kind === 'backward' && isLost({ ...there, kind: 'forward', from: there.to, to: there.from });
  }

  #inboxOf(kind: PartFrame['kind'], boundary: number): Inbox | null {
    const side = kind === 'forward' ? 'before' : 'after';
    if (kind === 'evaluation') return null;
    const segment = this.context.assignment.segments.findIndex((view) => view[side]?.index === boundary);
    return segment < 0 ? null : this.#inboxes[segment][kind];
  }
}
