import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Mesh } from '../../client/link/mesh.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FakeClock } from './fake-clock.ts';
import { FakeLink } from './fake-link.ts';
import { FakeRoom, member } from './fake-room.ts';

const { rebuildAttempts, rebuildSlowMs, rebuildPatienceMs, connectTimeoutMs, peersRemembered } = LIMITS.link;

function setUp(letters: string) {
  const room = new FakeRoom();
  const clock = new FakeClock();
  const tabs = Array.from(letters, (letter) => {
    const seat = room.seat(member(letter));
    const events: string[] = [];
    const mesh = new Mesh({
      signaling: seat,
      clock,
      random: { next: () => 0.5 },
      createLink: (options) => new FakeLink(options),
    });
    mesh.listen({
      onOpen: (peer) => events.push(`open ${peer[1]}`),
      onClose: (peer) => events.push(`close ${peer[1]}`),
      onMessage: () => undefined,
    });
    return { seat, mesh, events, id: mesh.self };
  });
  /** Virtual time, with signals (microtasks) delivered on the way. */
  const run = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 50) {
      clock.advance(Math.min(50, left));
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
  };
  return { room, clock, tabs, run };
}

const offers = (room: FakeRoom): string[] =>
  room.log
    .filter((entry) => entry.data.includes('"offer"'))
    .map((entry) => `${entry.from[1]}${(JSON.parse(entry.data) as { attempt: number }).attempt}`);

beforeEach(() => {
  FakeLink.all = [];
});

test('the newcomer starts the links', async () => {
  const { room, tabs, run } = setUp('abc');
  for (const tab of tabs) {
    tab.seat.join();
    await run(100);
  }
  assert.deepEqual(offers(room), ['b1', 'c1', 'c1']);
  assert.ok(tabs.every((tab) => tab.mesh.peers().length === 2));
});

test('where both start the same attempt, the smaller id wins and one link comes of it', async () => {
  const { room, tabs, run } = setUp('ab');
  const [a, b] = tabs;
  room.seats.set(a.id, a.seat).set(b.id, b.seat);
  a.seat.events?.onRoster([b.seat.self]);
  b.seat.events?.onRoster([a.seat.self]);
  await run(200);
  assert.deepEqual(offers(room).sort(), ['a1', 'b1']);
  assert.deepEqual([a.events, b.events], [['open b'], ['open a']]);
  assert.equal(FakeLink.all.filter((link) => link.open).length, 2);
});

test('if the newcomer starts nothing, the other side does', async () => {
  const { room, tabs, run } = setUp('ab');
  const [a, b] = tabs;
  room.seats.set(a.id, a.seat).set(b.id, b.seat);
  b.seat.events?.onRoster([]);
  b.seat.events?.onJoined(a.seat.self);
  a.seat.events?.onJoined(b.seat.self);
  await run(rebuildPatienceMs - 50);
  assert.deepEqual(offers(room), []);
  await run(200);
  assert.deepEqual([a.events, b.events], [['open b'], ['open a']]);
});

test('a link that only one side lost is replaced', async () => {
  const { tabs, run } = setUp('ab');
  const [a, b] = tabs;
  a.seat.join();
  b.seat.join();
  await run(100);
  FakeLink.all.find((link) => link.open && link.options.initiator)?.fail('lost');
  assert.deepEqual(b.mesh.peers(), []);
  assert.deepEqual(a.mesh.peers(), [b.id]);
  await run(rebuildPatienceMs + 1000);
  assert.deepEqual(
    [a.events, b.events],
    [
      ['open b', 'close b', 'open b'],
      ['open a', 'close a', 'open a'],
    ],
  );
});

test('after some failures attempts come slowly, numbers rise, and returning to the room tries at once', async () => {
  const { room, tabs, run } = setUp('ab');
  const [a, b] = tabs;
  const events = b.seat.events!;
  b.seat.listen({ ...events, onJoined: () => undefined, onSignal: () => undefined });
  room.seats.set(b.id, b.seat);
  a.seat.join();
  await run(rebuildAttempts * (connectTimeoutMs + 8_000));
  const quick = offers(room).length;
  assert.ok(quick >= rebuildAttempts, `${quick} attempts`);
  await run(10 * (connectTimeoutMs + rebuildSlowMs));
  const later = offers(room).length - quick;
  assert.ok(later >= 9 && later <= 11, `${later} slow attempts`);
  assert.deepEqual(
    offers(room),
    offers(room).map((_, i) => `a${i + 1}`),
  );
  assert.equal(a.mesh.roster()[0].note, 'too late');
  b.seat.listen(events);
  a.seat.join();
  await run(100);
  assert.deepEqual(a.mesh.peers(), [b.id]);
});

test('signals of older attempts are ignored, also after the peer was forgotten', async () => {
  const { room, tabs, run } = setUp('ab');
  const [a, b] = tabs;
  a.seat.join();
  b.seat.join();
  await run(100);
  const [old] = room.log.filter((entry) => entry.data.includes('"offer"'));
  a.mesh.dropLink(b.id);
  await run(5000);
  assert.deepEqual(a.mesh.peers(), [b.id]);
  room.inject(b.id, a.id, old.data);
  assert.equal(a.mesh.refusals.count('signal-stale'), 1);
  b.seat.leave();
  a.mesh.dropLink(b.id);
  assert.deepEqual(a.mesh.roster(), []);
  a.seat.events?.onJoined(b.seat.self);
  room.inject(b.id, a.id, old.data);
  assert.equal(a.mesh.refusals.count('signal-stale'), 2);
  for (let i = 0; i < 3 * peersRemembered; i++) {
    const id = `pzzzzzz${String(i).padStart(3, '0')}`;
    a.seat.events?.onJoined({ id, name: 'x' });
    a.seat.events?.onLeft(id);
  }
  assert.equal(a.mesh.members().length, 2);
});

test('the room is bounded whatever the server says, and nobody is linked to themselves', () => {
  const { tabs } = setUp('a');
  const [a] = tabs;
  for (let i = 0; i < 100; i++) {
    a.seat.events?.onJoined({ id: `pzzzzzz${String(i).padStart(3, '0')}`, name: 'x' });
  }
  a.seat.events?.onJoined(a.seat.self);
  assert.equal(a.mesh.roster().length, 2 * LIMITS.room.peers);
  assert.equal(a.mesh.refusals.count('member-is-self'), 1);
});

test('a peer can leave and return a hundred times: nothing piles up', async () => {
  const { clock, tabs, run } = setUp('ab');
  const [a, b] = tabs;
  a.seat.join();
  for (let i = 0; i < 100; i++) {
    b.seat.join();
    await run(100);
    assert.deepEqual(a.mesh.peers(), [b.id]);
    b.seat.leave();
    a.mesh.dropLink(b.id);
    b.seat.events?.onRoster([]);
    b.mesh.dropLink(a.id);
    assert.deepEqual(a.mesh.roster(), []);
  }
  await run(connectTimeoutMs + 1000);
  assert.equal(clock.pending, 0);
});
