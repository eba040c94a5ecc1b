import type { PeerId } from '../../../shared/ids.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Control, ControlOf, ControlType, Phase } from '../../../shared/schema/control.ts';
import type { Plan, Term } from '../../../shared/schema/plan.ts';
import type { Clock } from '../../ports/clock.ts';
import { centralities, type LinkQuality } from '../membership/centrality.ts';
import { Inquiry } from './inquiry.ts';
import type { RunRecord } from '../record/record.ts';

export interface CoordinatorContext {
  self: PeerId;
  clock: Clock;
  record: RunRecord;
  /** Everybody here, this peer included. */
  alive(): PeerId[];
  /** A run goes on, and most of those who take part in it are not heard: it is this peer that was cut off, rather than they. */
  isCutOff(): boolean;
  links(): LinkQuality[];
  nameOf(peer: PeerId): string;
  /** Messages to itself are delivered like all others. */
  send(to: PeerId, message: Control): void;
}

/** Ends whatever a coordinator was doing when another peer has the role. */
export class Fenced extends Error {
  override name = 'Fenced';
}

/** How a coordinator talks to the room in its term: questions that always end, announcements, events. */
export class Office {
  readonly #inquiries = new Set<Inquiry<ControlType>>();
  #closed = false;
  #abandoned: Error | null = null;

  #term: Term;

  constructor(
    readonly context: CoordinatorContext,
    term: Term,
  ) {
    this.#term = term;
  }

  get term(): Term {
    return this.#term;
  }

  /** The same coordinator under a newer term: whoever missed something is told again. */
  renew(term: Term): void {
    this.#term = term;
    for (const peer of this.context.alive()) this.brief(peer);
  }

  /** Asks `peers` and gives the answers of those who gave one before time was up; rejects with Fenced out of office. */
  async ask<T extends ControlType>(
    peers: readonly PeerId[],
    question: Control,
    answers: (message: Control) => message is ControlOf<T>,
    timeoutMs: number,
  ): Promise<Map<PeerId, ControlOf<T>>> {
    this.#throwIfAbandoned();
    const inquiry = new Inquiry<T>(this.context.clock, peers, answers, timeoutMs);
    const entry = inquiry as unknown as Inquiry<ControlType>;
    this.#inquiries.add(entry);
    for (const peer of peers) this.context.send(peer, question);
    const given = await inquiry.done;
    this.#inquiries.delete(entry);
    this.assertHeld();
    this.#throwIfAbandoned();
    return given;
  }

  /** Ends what is being asked now: whoever asked gets `error` at once. */
  abandon(error: Error): void {
    this.#abandoned = error;
    for (const inquiry of this.#inquiries) inquiry.cancel();
  }

  /** True where the message answered an open question. */
  receive(from: PeerId, message: Control): boolean {
    return [...this.#inquiries].some((inquiry) => inquiry.receive(from, message));
  }

  gone(peer: PeerId): void {
    for (const inquiry of this.#inquiries) inquiry.gone(peer);
  }

  /** Tells everybody what the run is doing. Plan and configuration go along where they are new. */
  announce(
    phase: Phase,
    message: string,
    share: number,
    news: { config?: RunConfig; plan?: Plan } = {},
  ): void {
    for (const peer of this.context.alive())
      this.#sendState(peer, phase, message, share, news.config, news.plan);
  }

  /** Tells one peer all there is to know: it has just come. */
  brief(peer: PeerId): void {
    const { record } = this.context;
    if (record.run === 0) return;
    this.#sendState(peer, record.phase, record.message, record.share, record.config, record.plan);
    const { final, peers } = record;
    if (final) this.context.send(peer, { type: 'finished', term: this.term, final, peers });
    for (const event of record.events) {
      if (event.type === 'coordinator') this.context.send(peer, { type: 'event', term: this.term, event });
    }
  }

  /** Puts something that happened into everybody's record. */
  event(type: string, message: string, more: Record<string, unknown> = {}): void {
    const t_ms = this.context.record.elapsedMs(this.context.clock.now());
    const event = { t_ms, type, message: message.slice(0, 600), ...more };
    for (const peer of this.context.alive())
      this.context.send(peer, { type: 'event', term: this.term, event });
  }

  /** Notes in the record that this peer coordinates from `fromStep` on, and by which table it was the most central. */
  appoint(fromStep: number): void {
    const { self, record } = this.context;
    const links = this.context.links();
    const centrality = centralities(this.context.alive(), links).get(self) ?? 0;
    const message = `${this.context.nameOf(self)} coordinates (term ${this.term.counter})`;
    this.event('coordinator', message, {
      peer: self,
      term: this.term.counter,
      from_step: fromStep,
      centrality,
      links,
    });
    record.message = message;
  }

  /** Waits; rejects with Fenced where another peer has the role by then. */
  rest(ms: number): Promise<void> {
    return new Promise<void>((resolve) => void this.context.clock.after(ms, resolve)).then(() =>
      this.assertHeld(),
    );
  }

  assertHeld(): void {
    if (this.#closed) throw new Fenced();
  }

  close(): void {
    this.#closed = true;
    for (const inquiry of this.#inquiries) inquiry.cancel();
  }

  #throwIfAbandoned(): void {
    const error = this.#abandoned;
    this.#abandoned = null;
    if (error) throw error;
  }

  #sendState(
    peer: PeerId,
    phase: Phase,
    message: string,
    share: number,
    config: RunConfig | null = null,
    plan: Plan | null = null,
  ): void {
    const { run } = this.context.record;
    this.context.send(peer, {
      type: 'run-state',
      term: this.term,
      run,
      phase,
      message: message.slice(0, 600),
      share,
      config,
      plan,
    });
  }
}

/** A guard for answers of one type, with a further condition. */
export function answer<T extends ControlType>(
  type: T,
  fits: (message: ControlOf<T>) => boolean = () => true,
): (message: Control) => message is ControlOf<T> {
  return (message): message is ControlOf<T> => message.type === type && fits(message as ControlOf<T>);
}
