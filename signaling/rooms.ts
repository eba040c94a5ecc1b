import type { PeerId } from '../shared/ids.ts';
import { LIMITS } from '../shared/limits.ts';
import type { Member } from '../shared/schema/signal.ts';

/** Who asks to be in which room; `seat` is whatever stands for the connection. */
export interface JoinRequest<Seat> {
  code: string;
  member: Member;
  /** Known to one tab alone: the same id may come back only with the same token. */
  token: string;
  seat: Seat;
}

export type JoinOutcome<Seat> =
  | {
      ok: true;
      /** The others already in the room. */
      others: Member[];
      /** The connection that this one replaces; the others notice nothing. */
      replaced: Seat | null;
      /** False where the member was in the room already. */
      isNew: boolean;
    }
  | { ok: false; reason: 'room-full' | 'server-full' | 'id-taken' };

export interface RoomsOptions {
  now: () => number;
  peersPerRoom?: number;
  maxRooms?: number;
  emptyRoomMs?: number;
  idsKept?: number;
}

interface Occupant<Seat> {
  member: Member;
  token: string;
  seat: Seat;
}

interface Room<Seat> {
  occupants: Map<PeerId, Occupant<Seat>>;
  /** Tokens by id of those who left, oldest first. */
  departed: Map<PeerId, string>;
  emptySince: number | null;
}

/** Who is in which room. Pure: no sockets, no timers; time comes from outside. */
export class Rooms<Seat> {
  readonly #rooms = new Map<string, Room<Seat>>();
  readonly #now: () => number;
  readonly #peersPerRoom: number;
  readonly #maxRooms: number;
  readonly #emptyRoomMs: number;
  readonly #idsKept: number;

  constructor(options: RoomsOptions) {
    this.#now = options.now;
    this.#peersPerRoom = options.peersPerRoom ?? LIMITS.room.peers;
    this.#maxRooms = options.maxRooms ?? LIMITS.room.roomsPerServer;
    this.#emptyRoomMs = options.emptyRoomMs ?? LIMITS.room.emptyRoomMs;
    this.#idsKept = options.idsKept ?? LIMITS.room.idsKept;
  }

  /** Takes a member in; with the id and token of a present member it replaces that one's connection. */
  join({ code, member, token, seat }: JoinRequest<Seat>): JoinOutcome<Seat> {
    this.sweep();
    const known = this.#rooms.get(code);
    const present = known?.occupants.get(member.id);
    const rightfulToken = present?.token ?? known?.departed.get(member.id);
    if (rightfulToken !== undefined && rightfulToken !== token) return { ok: false, reason: 'id-taken' };
    if (!present && known && known.occupants.size >= this.#peersPerRoom) {
      return { ok: false, reason: 'room-full' };
    }
    const room = known ?? this.#open(code);
    if (!room) return { ok: false, reason: 'server-full' };
    room.departed.delete(member.id);
    room.occupants.set(member.id, { member, token, seat });
    room.emptySince = null;
    return {
      ok: true,
      others: this.members(code).filter(({ id }) => id !== member.id),
      replaced: present && present.seat !== seat ? present.seat : null,
      isNew: !present,
    };
  }

  /** Takes a member out; false where `seat` is no longer (or never was) that member's connection. */
  leave(code: string, id: PeerId, seat: Seat): boolean {
    const room = this.#rooms.get(code);
    const occupant = room?.occupants.get(id);
    if (!room || !occupant || occupant.seat !== seat) return false;
    room.occupants.delete(id);
    room.departed.set(id, occupant.token);
    if (room.departed.size > this.#idsKept) room.departed.delete(first(room.departed));
    if (room.occupants.size === 0) room.emptySince = this.#now();
    return true;
  }

  /** The connection of a member of a room. */
  seat(code: string, id: PeerId): Seat | undefined {
    return this.#rooms.get(code)?.occupants.get(id)?.seat;
  }

  members(code: string): Member[] {
    return [...(this.#rooms.get(code)?.occupants.values() ?? [])].map(({ member }) => member);
  }

  /** Rooms with somebody in them, and people in rooms. */
  counts(): { rooms: number; peers: number } {
    const sizes = [...this.#rooms.values()].map(({ occupants }) => occupants.size);
    return {
      rooms: sizes.filter((size) => size > 0).length,
      peers: sizes.reduce((sum, size) => sum + size, 0),
    };
  }

  /** Forgets the rooms that have been empty for long. */
  sweep(): void {
    const before = this.#now() - this.#emptyRoomMs;
    for (const [code, { emptySince }] of this.#rooms) {
      if (emptySince !== null && emptySince <= before) this.#rooms.delete(code);
    }
  }

  #open(code: string): Room<Seat> | null {
    if (this.#rooms.size >= this.#maxRooms && !this.#forgetOldestEmptyRoom()) return null;
    const room: Room<Seat> = { occupants: new Map(), departed: new Map(), emptySince: null };
    this.#rooms.set(code, room);
    return room;
  }

  #forgetOldestEmptyRoom(): boolean {
    let oldest: { code: string; since: number } | null = null;
    for (const [code, { emptySince }] of this.#rooms) {
      if (emptySince !== null && (!oldest || emptySince < oldest.since)) oldest = { code, since: emptySince };
    }
    return oldest !== null && this.#rooms.delete(oldest.code);
  }
}

function first<Key>(map: Map<Key, unknown>): Key {
  return map.keys().next().value as Key;
}
