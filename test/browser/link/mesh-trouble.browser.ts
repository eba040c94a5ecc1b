import { assert } from '@open-wc/testing';
import { LIMITS } from '../../../shared/limits.ts';
import { Lab, open, pattern, pause, until } from './meshes.ts';

describe('mesh in trouble', () => {
  const lab = new Lab();
  before(() => lab.start());
  afterEach(() => lab.clear());
  after(() => lab.stop());

  it('rebuilds a dropped link and says so to both sides', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    for (const dropper of [a, b]) {
      const waiting = a.opened.length + 1;
      dropper.mesh.dropLink(dropper === a ? b.id : a.id);
      assert.isFalse(dropper.mesh.send(dropper === a ? b.id : a.id, 'data', pattern(1, 1)));
      assert.isFalse(await dropper.mesh.whenWritable(dropper === a ? b.id : a.id));
      await until('both closed', () => a.closed.length === waiting - 1 && b.closed.length === waiting - 1);
      await until('both open again', () => a.opened.length === waiting && b.opened.length === waiting);
      a.mesh.send(b.id, 'data', pattern(10, waiting));
      await until('data again', () => b.got('data').length === waiting - 1);
    }
    assert.include(a.closed[0], 'cut on this device');
    assert.include(b.closed[0], 'the other side');
    assert.equal(lab.connections.filter((connection) => connection.connectionState !== 'closed').length, 2);
  });

  it('keeps links while the signaling server is gone, and rebuilds them once it is back', async () => {
    const [room, a, b] = lab.room('ab', {
      limits: { rebuildBackoffMs: 20, rebuildSlowMs: 60_000, rebuildAttempts: 2 },
    });
    await lab.join(a, b);
    room.up = false;
    b.seat.events?.onLeft(a.id);
    a.mesh.send(b.id, 'data', pattern(10, 1));
    await until('data without a server', () => b.got('data').length === 1);
    room.restart([a.seat, b.seat]);
    await pause(100);
    assert.deepEqual(a.closed, []);
    room.up = false;
    a.mesh.dropLink(b.id);
    await until('broken on both sides', () => a.closed.length === 1 && b.closed.length === 1);
    await until('a note for people', () => a.mesh.roster()[0].note.includes('signaling server'));
    room.restart([a.seat, b.seat]);
    await open(a, b);
  });

  it('forgets a peer that left once its link is dead', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    b.seat.leave();
    assert.deepEqual(
      a.mesh.roster().map((entry) => [entry.link, entry.present]),
      [['open', false]],
    );
    b.mesh.close();
    await until('forgotten', () => a.mesh.members().length === 1);
    assert.equal(a.closed.length, 1);
    assert.equal(a.clock.pending, 0);
  });

  it('refuses malformed signals of every kind, counts them, and the link still works', async () => {
    const [room, a, b] = lab.room('ab');
    await lab.join(a, b);
    // b joined last, so b started attempt 1.
    const from = b.id;
    const offer = room.log.map((entry) => entry.data).find((data) => data.includes('"offer"')) ?? '';
    const { signal } = JSON.parse(offer) as { signal: { sdp: string } };
    const { sdp } = signal;
    const candidate = (text: string, rest = {}): string =>
      JSON.stringify({ attempt: 1, signal: { type: 'candidate', candidate: { candidate: text, ...rest } } });
    const bad: [reason: string, data: string][] = [
      ['signal-not-json', '{"attempt":1,'],
      ['signal-malformed', 'null'],
      ['signal-malformed', JSON.stringify({ attempt: -1, signal: { type: 'offer', sdp } })],
      ['signal-malformed', JSON.stringify({ attempt: 1, signal: { type: 'rollback' } })],
      [
        'signal-malformed',
        JSON.stringify({ attempt: 1, signal: { type: 'offer', sdp: 'x'.repeat(33_000) } }),
      ],
      ['description-malformed', JSON.stringify({ attempt: 2, signal: { type: 'offer', sdp: 'nonsense' } })],
      ['description-unexpected', offer],
      ['description-unexpected', JSON.stringify({ attempt: 1, signal: { type: 'answer', sdp } })],
      ['attempt-jump', JSON.stringify({ attempt: 999_999, signal: { type: 'offer', sdp } })],
      ['signal-stale', JSON.stringify({ attempt: 0, signal: { type: 'offer', sdp } })],
      ['media-request', JSON.stringify({ attempt: 1, signal: { type: 'renegotiate', renegotiate: true } })],
      [
        'media-request',
        JSON.stringify({ attempt: 1, signal: { type: 'transceiverRequest', transceiverRequest: {} } }),
      ],
      ['candidate-malformed', candidate('rubbish', { sdpMid: '0' })],
      ['candidate-malformed', candidate('candidate:1 1 udp 1 1.2.3.4 5 typ host')],
      ['candidate-rejected', candidate('candidate:rubbish', { sdpMid: '0', sdpMLineIndex: 0 })],
      ['candidate-rejected', candidate('candidate:1 1 udp 1 1.2.3.4 5 typ host', { sdpMid: 'none' })],
    ];
    const expected: Record<string, number> = {};
    for (const [reason, data] of bad) {
      room.inject(from, a.id, data);
      expected[reason] = (expected[reason] ?? 0) + 1;
    }
    room.inject('pzzzzzzzzz', a.id, offer);
    expected['signal-from-stranger'] = 1;
    await until('all refused', () => a.mesh.refusals.total >= bad.length + 1, 5_000).catch(() => undefined);
    assert.deepEqual(a.mesh.refusals.counts(), expected);

    for (let i = 0; i < LIMITS.link.candidates; i++) room.inject(from, a.id, candidate('', { sdpMid: '0' }));
    await until('a flood refused', () => a.mesh.refusals.count('candidate-flood') > 0);
    await pause(200);
    b.mesh.send(a.id, 'control', pattern(7, 7));
    a.mesh.send(b.id, 'data', pattern(7, 7));
    await until('messages both ways', () => a.received.length === 1 && b.received.length === 1);
    assert.deepEqual(a.closed.concat(b.closed), []);
    assert.equal(a.links.length, 1);
  });

  it('says what to do when no connection comes about', async () => {
    const [room, a, b] = lab.room('ab', { limits: { connectTimeoutMs: 300 } });
    room.seats.set(b.id, b.seat);
    b.seat.listen({ onRoster: noop, onJoined: noop, onLeft: noop, onSignal: noop });
    a.seat.join();
    await until('a note', () => a.mesh.roster()[0].note !== '');
    assert.equal(a.mesh.roster()[0].link, 'broken');
    assert.include(a.mesh.roster()[0].note, 'same network');
  });

  it('leaves no timer and no connection behind', async () => {
    const [, a, b, c, d] = lab.room('abcd');
    await lab.join(a, b, c);
    a.mesh.dropLink(b.id);
    d.seat.join();
    while (c.mesh.send(a.id, 'data', pattern(LIMITS.link.frameBytes, 1)));
    const writable = c.mesh.whenWritable(a.id);
    for (const tab of lab.tabs) tab.mesh.close();
    assert.deepEqual(
      lab.tabs.map((tab) => tab.clock.pending),
      [0, 0, 0, 0],
    );
    assert.isFalse(await writable);
    await until(
      'connections closed',
      () => lab.connections.every((one) => one.signalingState === 'closed'),
      2_000,
    );
    assert.deepEqual(a.mesh.peers(), []);
    assert.isFalse(a.mesh.send(c.id, 'data', pattern(1, 1)));
    await pause(300);
    assert.deepEqual(
      lab.tabs.map((tab) => tab.clock.pending),
      [0, 0, 0, 0],
    );
  });
});

function noop(): void {
  // A peer that answers nothing.
}
