import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LIMITS } from '../../shared/limits.ts';
import { LeftSchema, JoinAnswerSchema } from '../../shared/schema/signal.ts';
import * as v from 'valibot';
import { eventually, joinRequest, OTHER_ROOM, peerId, serve } from './helpers.ts';

it('tells a newcomer who is there, and the others who came and left', async (t) => {
  const server = await serve(t);
  const first = await server.member(1);
  const second = await server.client();
  const answer = await second.ask('join', joinRequest(2));
  assert.deepEqual(v.parse(JoinAnswerSchema, answer), {
    ok: true,
    members: [{ id: peerId(1), name: 'Peer 1' }],
  });
  await eventually(() => first.heard.length === 1, 'the first hears of the second');
  assert.deepEqual(first.heard, [['joined', { member: { id: peerId(2), name: 'Peer 2' } }]]);

  second.socket.disconnect();
  await eventually(() => first.heard.length === 2, 'the first hears that the second left');
  assert.deepEqual(first.heard[1], ['left', { id: peerId(2) }]);
  assert.ok(v.is(LeftSchema, first.heard[1][1]));
  assert.deepEqual(second.heard, [], 'nobody hears of themselves');
});

it('lets a peer leave and enter another room on the same socket', async (t) => {
  const server = await serve(t);
  const [first, second] = [await server.member(1), await server.member(2)];
  assert.equal((await second.ask('join', joinRequest(2, OTHER_ROOM))).reason, 'bad-request');
  assert.deepEqual(await second.ask('leave'), { ok: true });
  assert.deepEqual(await second.ask('join', joinRequest(2, OTHER_ROOM)), { ok: true, members: [] });
  await eventually(() => first.heard.length === 2, 'the first hears that the second left');
  assert.deepEqual(first.heard[1], ['left', { id: peerId(2) }]);
  assert.equal((await first.ask('signal', { to: peerId(2), data: 'x' })).reason, 'unknown-peer');
  assert.equal((await (await server.client()).ask('leave')).reason, 'not-in-room');
});

it('relays a signal to its receiver alone, unread, under the name of its sender', async (t) => {
  const server = await serve(t);
  const [first, second, third] = [await server.member(1), await server.member(2), await server.member(3)];
  const data = 'sealed: ☃ not JSON {';
  assert.deepEqual(await first.ask('signal', { to: peerId(2), data }), { ok: true });
  await second.settle();
  await third.settle();
  assert.deepEqual(second.heard.at(-1), ['signal', { from: peerId(1), data }]);
  assert.ok(!third.heard.some(([event]) => event === 'signal'));
  const bytes = Buffer.byteLength(data);
  assert.deepEqual(server.server.stats().relayed, { signals: 1, bytes, largestBytes: bytes });
});

it('keeps the order of the signals of one sender', async (t) => {
  const server = await serve(t);
  const [first, second] = [await server.member(1), await server.member(2)];
  for (let i = 0; i < 100; i++) first.socket.emit('signal', { to: peerId(2), data: String(i) });
  await eventually(() => second.heard.length === 100, 'all signals arrive');
  assert.deepEqual(
    second.heard.map(([, payload]) => (payload as { data: string }).data),
    Array.from({ length: 100 }, (_, i) => String(i)),
  );
});

it('does not let a peer speak for another', async (t) => {
  const server = await serve(t);
  const [first, second] = [await server.member(1), await server.member(2)];
  const forged = await first.ask('signal', { to: peerId(2), data: 'x', from: peerId(3) });
  assert.equal(forged.reason, 'bad-request');
  await first.ask('signal', { to: peerId(2), data: 'y' });
  await second.settle();
  assert.deepEqual(second.heard.at(-1), ['signal', { from: peerId(1), data: 'y' }]);
  assert.equal(server.refused('signal:bad-request'), 2, 'the forged one and the one that settled');
});

it('relays nothing between rooms, to oneself or from outside', async (t) => {
  const server = await serve(t);
  const [here, there] = [await server.member(1), await server.member(2, OTHER_ROOM)];
  assert.equal((await here.ask('signal', { to: peerId(2), data: 'x' })).reason, 'unknown-peer');
  assert.equal((await here.ask('signal', { to: peerId(1), data: 'x' })).reason, 'unknown-peer');
  const outside = await server.client();
  assert.equal((await outside.ask('signal', { to: peerId(1), data: 'x' })).reason, 'not-in-room');
  await there.settle();
  await here.settle();
  assert.deepEqual([here.heard, there.heard], [[], []]);
  assert.equal(server.refused('signal:unknown-peer'), 2);
  assert.equal(server.refused('signal:not-in-room'), 1);
  assert.equal(server.server.stats().relayed.signals, 0);
});

it('refuses one too many in a room', async (t) => {
  const server = await serve(t);
  const members = await Promise.all(Array.from({ length: LIMITS.room.peers }, (_, n) => server.member(n)));
  const late = await server.client();
  const answer = await late.ask('join', joinRequest(99));
  assert.equal(answer.reason, 'room-full');
  assert.match(answer.message ?? '', new RegExp(`${LIMITS.room.peers} devices`));
  members[0].socket.disconnect();
  await eventually(() => server.server.stats().peers === LIMITS.room.peers - 1, 'one leaves');
  assert.equal((await late.ask('join', joinRequest(99))).ok, true);
});

it('lets a peer that reconnects take its own place, unnoticed by the others', async (t) => {
  const server = await serve(t);
  const [watcher, old] = [await server.member(1), await server.member(2)];
  const fresh = await server.client();
  assert.deepEqual(await fresh.ask('join', joinRequest(2)), {
    ok: true,
    members: [{ id: peerId(1), name: 'Peer 1' }],
  });
  await eventually(() => old.socket.disconnected, 'the old socket is closed');
  assert.equal((await watcher.ask('signal', { to: peerId(2), data: 'hello' })).ok, true);
  await fresh.settle();
  await watcher.settle();
  assert.deepEqual(fresh.heard, [['signal', { from: peerId(1), data: 'hello' }]]);
  assert.deepEqual(
    watcher.heard.map(([event]) => event),
    ['joined'],
    'only the first arrival was announced',
  );
  assert.equal(server.server.stats().peers, 2);
});

it('answers a repeated join on the same socket as the first', async (t) => {
  const server = await serve(t);
  const [watcher, member] = [await server.member(1), await server.member(2)];
  assert.equal((await member.ask('join', joinRequest(2))).ok, true);
  await watcher.settle();
  assert.equal(watcher.heard.length, 1);
  assert.ok(member.socket.connected);
});

it('keeps an id for the tab that has it', async (t) => {
  const server = await serve(t);
  const rightful = await server.member(1);
  const thief = await server.client();
  const stolen = { ...joinRequest(1), token: 'some-other-token-1' };
  assert.equal((await thief.ask('join', stolen)).reason, 'id-taken');
  rightful.socket.disconnect();
  await eventually(() => server.server.stats().peers === 0, 'the first leaves');
  assert.equal((await thief.ask('join', stolen)).reason, 'id-taken');
  assert.equal(server.refused('join:id-taken'), 2);
  await server.member(1);
});

it('works by long polling where a network lets no web socket through', async (t) => {
  const server = await serve(t);
  const first = await server.member(1);
  const second = await server.client({ transports: ['polling'] });
  assert.equal((await second.ask('join', joinRequest(2))).ok, true);
  await first.ask('signal', { to: peerId(2), data: 'hello' });
  await eventually(() => second.heard.length === 1, 'the signal arrives');
});

for (const transport of ['websocket', 'polling']) {
  it(`keeps no place for a peer that joins and is gone at once (${transport})`, async (t) => {
    const server = await serve(t);
    const clients = await Promise.all(
      Array.from({ length: 10 }, () => server.client({ transports: [transport] })),
    );
    clients.forEach(({ socket }, n) => {
      socket.emit('join', joinRequest(n));
      if (n % 2 === 0) socket.emit('leave');
      socket.disconnect();
    });
    await eventually(() => server.server.stats().sockets === 0, 'all sockets are closed');
    await eventually(() => server.server.stats().peers === 0, 'nobody is left in the room');
  });
}
