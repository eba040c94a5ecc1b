import assert from 'node:assert/strict';
import { createServer, type Server as HttpServer } from 'node:http';
import { afterEach, test } from 'node:test';
import { Server } from 'socket.io';
import { startServer, type RunningServer } from '../../signaling/server.ts';
import { browserClock } from '../../client/link/clock.ts';
import { SignalingClient, SignalingError, type SignalingState } from '../../client/link/signaling-client.ts';
import { LIMITS } from '../../shared/limits.ts';
import { member } from './fake-room.ts';

const ROOM = 'ACDEFG';
const stops: (() => unknown)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function until(what: string, condition: () => boolean, ms = 15_000): Promise<void> {
  const end = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`Waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function realServer(port = 0): Promise<RunningServer> {
  const server = await startServer({ port, host: '127.0.0.1' });
  stops.push(() => server.close());
  return server;
}

/** A server that says what the test wants. */
async function oddServer(answer: unknown, then?: (io: Server) => void): Promise<string> {
  const http: HttpServer = createServer();
  const io = new Server(http);
  io.on('connection', (socket) => {
    socket.on('join', (_join: unknown, acknowledge: (value: unknown) => void) => {
      const given: unknown = typeof answer === 'function' ? (answer as () => unknown)() : answer;
      if (given !== undefined) acknowledge(given);
      then?.(io);
    });
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  stops.push(() => io.close());
  return `http://127.0.0.1:${(http.address() as { port: number }).port}`;
}

function client(url: string, letter: string, joinTimeoutMs = 3000) {
  const made = new SignalingClient({
    url,
    room: ROOM,
    self: member(letter),
    token: `token-of-${letter}-0123456789`,
    clock: browserClock,
    joinTimeoutMs,
    rejoinDelayMs: 200,
  });
  const events: string[] = [];
  const states: [SignalingState, string][] = [];
  made.listen({
    onRoster: (others) => events.push(`roster ${others.map((one) => one.name).join()}`),
    onJoined: (one) => events.push(`joined ${one.name}`),
    onLeft: (peer) => events.push(`left ${peer}`),
    onSignal: (from, data) => events.push(`signal ${from} ${data}`),
  });
  made.onState((state, message) => states.push([state, message]));
  stops.push(() => made.close());
  return { made, events, states };
}

const failure = (joining: Promise<unknown>): Promise<SignalingError> =>
  joining.then(
    () => assert.fail('joined'),
    (error: unknown) => error as SignalingError,
  );

test('members find each other, signal, and see each other leave', async () => {
  const { url } = await realServer();
  const a = client(url, 'a');
  const b = client(url, 'b');
  assert.deepEqual(await a.made.join(), []);
  assert.equal(a.made.signal(b.made.self.id, 'x'.repeat(LIMITS.signaling.signalChars + 1)), false);
  assert.deepEqual(await b.made.join(), [member('a')]);
  await until('joined', () => a.events.includes('joined Peer b'));
  assert.equal(b.made.signal(member('a').id, 'hello'), true);
  await until('the signal', () => a.events.includes(`signal ${member('b').id} hello`));
  b.made.close();
  await until('left', () => a.events.includes(`left ${member('b').id}`));
  assert.equal(b.made.signal(member('a').id, 'hello'), false);
});

test('joins again by itself after the server restarted', async () => {
  const first = await realServer();
  const a = client(first.url, 'a');
  const b = client(first.url, 'b');
  await a.made.join();
  await b.made.join();
  await first.close();
  await until('both away', () => a.made.state === 'away' && b.made.state === 'away');
  assert.equal(a.made.signal(b.made.self.id, 'lost'), false);
  assert.match(a.states.at(-1)?.[1] ?? '', /does not answer\. Check that it is running/);
  await realServer(first.port);
  await until('both back', () => a.made.state === 'joined' && b.made.state === 'joined');
  assert.equal(a.events.concat(b.events).filter((event) => event.startsWith('roster')).length, 4);
  a.made.signal(b.made.self.id, 'again');
  await until('a signal', () => b.events.includes(`signal ${member('a').id} again`));
});

test('joins again after the server cut it off, also where that is refused at first', async () => {
  let joins = 0;
  let server: Server | null = null;
  const url = await oddServer(
    () =>
      ++joins === 2
        ? { ok: false, reason: 'too-many-requests', message: 'Wait a moment.' }
        : { ok: true, members: [] },
    (io) => (server = io),
  );
  const { made, states } = client(url, 'a');
  await made.join();
  server!.disconnectSockets();
  await until('away', () => made.state === 'away', 150);
  await until('back', () => made.state === 'joined');
  assert.equal(joins, 3);
  assert.ok(states.some(([state, message]) => state === 'away' && message === 'Wait a moment.'));
});

test('a server that cannot be reached, or never answers, is reported within the limit', async () => {
  for (const url of ['http://127.0.0.1:9', await oddServer(undefined)]) {
    const started = Date.now();
    const { made } = client(url, 'a', 700);
    const error = await failure(made.join());
    assert.equal(error.reason, 'unreachable');
    assert.match(error.message, /Check that it is running/);
    assert.ok(Date.now() - started < 2500);
    assert.equal(made.state, 'closed');
  }
});

test('refusals come through with their reason and message', async () => {
  const { url } = await realServer();
  for (let i = 0; i < LIMITS.room.peers; i++) await client(url, String.fromCharCode(97 + i)).made.join();
  const full = await failure(client(url, 'z').made.join());
  assert.equal(full.reason, 'room-full');
  assert.match(full.message, /room is full/);
  const old = await oddServer({ ok: false, reason: 'wrong-version', message: 'Reload the page.' });
  assert.deepEqual(
    await failure(client(old, 'a').made.join()).then((error) => [error.reason, error.message]),
    ['wrong-version', 'Reload the page.'],
  );
  const odd = await failure(client(await oddServer({ ok: 'yes' }), 'a').made.join());
  assert.equal(odd.reason, 'bad-answer');
  assert.match(odd.message, /reload the page/);
});

test('what the server sends is checked, refused and counted', async () => {
  const url = await oddServer({ ok: true, members: [member('a'), member('b')] }, (io) => {
    io.emit('joined', { member: { id: 'nonsense', name: 'x' } });
    io.emit('joined', null);
    io.emit('left', 'nobody');
    io.emit('signal', { from: member('b').id, data: 7 });
    io.emit('signal', { from: member('b').id, data: 'x'.repeat(LIMITS.signaling.signalChars + 1) });
    io.emit('signal', { from: member('b').id, data: 'fine' });
  });
  const { made, events } = client(url, 'a');
  assert.deepEqual(await made.join(), [member('b')]);
  await until('the good one', () => events.some((event) => event.endsWith('fine')));
  assert.deepEqual(events, ['roster Peer b', `signal ${member('b').id} fine`]);
  assert.deepEqual(made.refusals.counts(), {
    'joined-malformed': 2,
    'left-malformed': 1,
    'signal-malformed': 2,
  });
});
