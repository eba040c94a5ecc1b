import type { PeerId } from '../../shared/ids.ts';
import type { Member } from '../../shared/schema/signal.ts';
import type { Signaling, SignalingEvents } from '../../client/link/signaling.ts';

export const member = (letter: string): Member => ({ id: `p${letter.repeat(9)}`, name: `Peer ${letter}` });

/** A signaling server in memory. Signals arrive in order, one task later. */
export class FakeRoom {
  readonly seats = new Map<PeerId, Seat>();
  /** Every signal that passed: from, to, data. */
  readonly log: { from: PeerId; to: PeerId; data: string }[] = [];
  up = true;

  seat(self: Member): Seat {
    return new Seat(this, self);
  }

  /** Hands `data` to `to` as if `from` had sent it. */
  inject(from: PeerId, to: PeerId, data: string): void {
    this.seats.get(to)?.events?.onSignal(from, data);
  }

  /** The server dies and returns with no memory; everybody joins again in the given order. */
  restart(order: Seat[]): void {
    this.seats.clear();
    this.up = true;
    for (const seat of order) seat.join();
  }
}

export class Seat implements Signaling {
  readonly self: Member;
  events: SignalingEvents | null = null;
  readonly #room: FakeRoom;

  constructor(room: FakeRoom, self: Member) {
    this.#room = room;
    this.self = self;
  }

  listen(events: SignalingEvents): void {
    this.events = events;
  }

  join(): void {
    const others = [...this.#room.seats.values()];
    this.#room.seats.set(this.self.id, this);
    for (const other of others) other.events?.onJoined(this.self);
    this.events?.onRoster(others.map((other) => other.self));
  }

  leave(): void {
    this.#room.seats.delete(this.self.id);
    for (const other of this.#room.seats.values()) other.events?.onLeft(this.self.id);
  }

  signal(to: PeerId, data: string): boolean {
    if (!this.#room.up || !this.#room.seats.has(this.self.id)) return false;
    this.#room.log.push({ from: this.self.id, to, data });
    void Promise.resolve().then(() => this.#room.seats.get(to)?.events?.onSignal(this.self.id, data));
    return true;
  }
}
