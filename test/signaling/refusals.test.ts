import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LIMITS } from '../../shared/limits.ts';
import { PROTOCOL_VERSION } from '../../shared/version.ts';
import { eventually, joinRequest, peerId, ROOM, serve } from './helpers.ts';

it('refuses malformed payloads, counts them, and goes on', async (t) => {
  const server = await serve(t);
  const good = joinRequest(9);
  const joins: [what: string, payload: unknown[]][] = [
    ['nothing', []],
    ['null', [null]],
    ['a text', ['join me']],
    ['a list', [[good]]],
    ['two payloads', [good, good]],
    ['bytes', [Buffer.from('join')]],
    ['no room', [{ ...good, room: undefined }]],
    ['a room of another alphabet', [{ ...good, room: 'abcdef' }]],
    ['a room that is a path', [{ ...good, room: '../../' }]],
    ['an id of another shape', [{ ...good, member: { id: 'server', name: 'x' } }]],
    ['an empty name', [{ ...good, member: { id: peerId(9), name: '' } }]],
    ['a huge name', [{ ...good, member: { id: peerId(9), name: 'x'.repeat(LIMITS.room.nameChars + 1) } }]],
    ['a short token', [{ ...good, token: 'short' }]],
    ['a token that is an object', [{ ...good, token: { length: 20 } }]],
    ['a field too many', [{ ...good, admin: true }]],
    ['a version that is a text', [{ ...good, protocol: String(PROTOCOL_VERSION) }]],
    ['a polluted prototype', [JSON.parse('{"__proto__": {"room": "ACDEFG"}}')]],
  ];
  const client = await server.client();
  for (const [what, payload] of joins) {
    const answer = await client.ask('join', ...payload);
    assert.equal(answer.reason, 'bad-request', what);
    assert.ok(answer.message, what);
  }
  assert.equal(server.refused('join:bad-request'), joins.length);

  const [first, second] = [await server.member(1), await server.member(2)];
  const signals: [what: string, payload: unknown[]][] = [
    ['nothing', []],
    ['no receiver', [{ data: 'x' }]],
    ['everybody', [{ to: '*', data: 'x' }]],
    ['receivers', [{ to: [peerId(2)], data: 'x' }]],
    ['the room', [{ to: ROOM, data: 'x' }]],
    ['data that is an object', [{ to: peerId(2), data: { type: 'offer' } }]],
    ['data that is bytes', [{ to: peerId(2), data: Buffer.from('tensor') }]],
    ['too much data', [{ to: peerId(2), data: 'x'.repeat(LIMITS.signaling.signalChars + 1) }]],
    ['a field too many', [{ to: peerId(2), data: 'x', volatile: true }]],
  ];
  for (const [what, payload] of signals) {
    assert.equal((await first.ask('signal', ...payload)).reason, 'bad-request', what);
  }
  assert.equal(server.refused('signal:bad-request'), signals.length);
  assert.equal((await first.ask('eval', 'process.exit()')).ok, false);
  first.socket.emit('eval');
  first.socket.emit('signal', null);
  first.socket.emit('join');
  await eventually(() => server.refused('other:unknown-event') === 2, 'unknown events are counted');
  assert.equal((await first.ask('signal', { to: peerId(2), data: 'still here' })).ok, true);
  await second.settle();
  assert.deepEqual(second.heard.at(-1), ['signal', { from: peerId(1), data: 'still here' }]);
});

it('closes a socket that sends more than a message may hold, and counts it', async (t) => {
  const server = await serve(t);
  const client = await server.client();
  client.socket.emit('signal', { to: peerId(2), data: 'x'.repeat(LIMITS.signaling.messageBytes + 1) });
  await eventually(() => server.refused('connect:too-large') === 1, 'the refusal is counted');
  await eventually(() => client.socket.disconnected, 'the socket closes');
  await server.member(1);
});

it('refuses another version of the page, whatever else its request holds', async (t) => {
  const server = await serve(t);
  const client = await server.client();
  const answer = await client.ask('join', { protocol: PROTOCOL_VERSION + 1, somethingNew: 1 });
  assert.equal(answer.reason, 'wrong-version');
  assert.match(answer.message ?? '', /Reload/);
});

it('limits the rate of signals of a socket, not that of the others', async (t) => {
  const server = await serve(t, { limits: { signalsPerSecond: 5 } });
  const [first, second] = [await server.member(1), await server.member(2)];
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => first.ask('signal', { to: peerId(2), data: String(i) })),
  );
  assert.equal(answers.filter(({ ok }) => ok).length, 5);
  assert.equal(server.refused('signal:too-many-requests'), 15);
  assert.equal((await second.ask('signal', { to: peerId(1), data: 'x' })).ok, true);
  await new Promise((resolve) => setTimeout(resolve, 1050));
  assert.equal(
    (await first.ask('signal', { to: peerId(2), data: 'x' })).ok,
    true,
    'a second later it may again',
  );
});

it('limits the rate of joins of an address', async (t) => {
  const server = await serve(t, { limits: { joinsPerMinutePerAddress: 3 } });
  for (const n of [1, 2, 3]) await server.member(n);
  assert.equal((await (await server.client()).ask('join', joinRequest(4))).reason, 'too-many-requests');
  assert.equal(server.refused('join:too-many-requests'), 1);
});

it('closes a socket that joins no room', async (t) => {
  const server = await serve(t, { limits: { joinTimeoutMs: 300 } });
  const [idle, member] = [await server.client(), await server.member(1)];
  await eventually(() => idle.socket.disconnected, 'the idle socket is closed');
  assert.equal(server.refused('connect:no-join'), 1);
  await member.settle();
  assert.ok(member.socket.connected);
});

it('refuses sockets of pages of other servers', async (t) => {
  const server = await serve(t);
  for (const transport of ['websocket', 'polling']) {
    for (const origin of [
      'http://evil.example',
      'null',
      `${server.url}.evil.example`,
      'http://localhost:1',
    ]) {
      await assert.rejects(
        server.client({ transports: [transport], extraHeaders: { origin } }),
        `${transport} from ${origin}`,
      );
    }
    await server.client({ transports: [transport], extraHeaders: { origin: server.url } });
  }
  assert.equal(server.refused('connect:cross-origin'), 8);
});
