import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Rooms, type RoomsOptions } from '../../signaling/rooms.ts';
import { OTHER_ROOM, peerId, ROOM, tokenOf } from './helpers.ts';

function setUp(options: Partial<RoomsOptions> = {}) {
  const clock = { now: 1000 };
  const rooms = new Rooms<string>({
    now: () => clock.now,
    peersPerRoom: 3,
    maxRooms: 2,
    emptyRoomMs: 500,
    ...options,
  });
  const join = (n: number, { code = ROOM, token = tokenOf(n), seat = `seat ${n}` } = {}) =>
    rooms.join({ code, member: { id: peerId(n), name: `Peer ${n}` }, token, seat });
  return { clock, rooms, join };
}

describe('rooms', () => {
  it('gives a newcomer the others', () => {
    const { rooms, join } = setUp();
    join(1);
    assert.deepEqual(join(2), {
      ok: true,
      others: [{ id: peerId(1), name: 'Peer 1' }],
      replaced: null,
      isNew: true,
    });
    assert.deepEqual(rooms.counts(), { rooms: 1, peers: 2 });
    assert.equal(rooms.seat(ROOM, peerId(2)), 'seat 2');
  });

  it('refuses one too many, but lets a present member come back', () => {
    const { join } = setUp();
    for (const n of [1, 2, 3]) join(n);
    assert.deepEqual(join(4), { ok: false, reason: 'room-full' });
    assert.equal(join(2, { seat: 'new' }).ok, true);
  });

  it('replaces the connection of a member that shows the same token', () => {
    const { rooms, join } = setUp();
    join(1, { seat: 'old' });
    assert.deepEqual(join(1, { seat: 'new' }), { ok: true, others: [], replaced: 'old', isNew: false });
    assert.equal(
      rooms.leave(ROOM, peerId(1), 'old'),
      false,
      'the old connection no longer speaks for the member',
    );
    assert.equal(rooms.members(ROOM).length, 1);
    assert.equal(rooms.leave(ROOM, peerId(1), 'new'), true);
  });

  it('does not replace a connection by itself', () => {
    const { join } = setUp();
    join(1);
    const again = join(1);
    assert.ok(again.ok);
    assert.equal(again.replaced, null);
  });

  it('keeps an id for its token, present or departed', () => {
    const { rooms, join } = setUp();
    join(1);
    join(2);
    const stolen = { token: 'another-token-000' };
    assert.deepEqual(join(1, stolen), { ok: false, reason: 'id-taken' });
    rooms.leave(ROOM, peerId(1), 'seat 1');
    assert.deepEqual(join(1, stolen), { ok: false, reason: 'id-taken' });
    assert.equal(join(1).ok, true);
    assert.equal(
      join(1, { ...stolen, code: OTHER_ROOM }).ok,
      true,
      'ids are unique in a room, not on the server',
    );
  });

  it('remembers only so many departed ids, the latest', () => {
    const { rooms, join } = setUp({ idsKept: 2 });
    join(9);
    for (const n of [1, 2, 3]) {
      join(n);
      rooms.leave(ROOM, peerId(n), `seat ${n}`);
    }
    assert.equal(join(3, { token: 'another-token-000' }).ok, false);
    assert.equal(join(1, { token: 'another-token-000' }).ok, true);
  });

  it('forgets a room that stays empty, and not one that somebody came back to', () => {
    const { clock, rooms, join } = setUp();
    join(1);
    rooms.leave(ROOM, peerId(1), 'seat 1');
    clock.now += 499;
    assert.equal(join(1).ok, true);
    clock.now += 10_000;
    rooms.sweep();
    assert.equal(rooms.members(ROOM).length, 1);
    rooms.leave(ROOM, peerId(1), 'seat 1');
    clock.now += 500;
    assert.equal(join(1, { token: 'another-token-000' }).ok, true, 'the tokens are forgotten with the room');
  });

  it('refuses a room too many while all are in use, and gives up an empty one first', () => {
    const { rooms, join } = setUp();
    join(1);
    join(2, { code: OTHER_ROOM });
    assert.deepEqual(join(3, { code: 'QRTWXY' }), { ok: false, reason: 'server-full' });
    rooms.leave(OTHER_ROOM, peerId(2), 'seat 2');
    assert.equal(join(3, { code: 'QRTWXY' }).ok, true);
    assert.deepEqual(rooms.counts(), { rooms: 2, peers: 2 });
  });

  it('takes nobody out of a room they are not in', () => {
    const { rooms, join } = setUp();
    join(1);
    assert.equal(rooms.leave(OTHER_ROOM, peerId(1), 'seat 1'), false);
    assert.equal(rooms.leave(ROOM, peerId(2), 'seat 2'), false);
    assert.deepEqual(rooms.members(OTHER_ROOM), []);
  });
});
