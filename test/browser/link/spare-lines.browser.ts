import { assert } from '@open-wc/testing';
import { LIMITS } from '../../../shared/limits.ts';
import { Lab, open, pattern, pause, same, until, type Tab } from './meshes.ts';

const SIZE = 8_000;
const ENDS = 2;

/** Every rate is slow, and lines are tried at short intervals. */
const slow = (lineGain: number) => ({
  limits: { slowBytesPerSecond: 1e12, fastBytesPerSecond: Infinity, lineTrialMs: 50, lineGain },
});

const isSpareAndOpen = ({ label, negotiated, readyState }: RTCDataChannel) =>
  label === 'data' && !negotiated && readyState === 'open';

async function send(from: Tab, to: Tab, count: number): Promise<void> {
  const sentBefore = to.got('data').length;
  for (let i = 0; i < count; i++) {
    while (!from.mesh.send(to.id, 'data', pattern(SIZE, i))) await from.mesh.whenWritable(to.id);
    if (i % 10 === 0) await pause(5);
  }
  await until('all frames', () => to.got('data').length === sentBefore + count);
  const got = to.got('data').slice(sentBefore);
  const missing = Array.from({ length: count }, (_, i) => pattern(SIZE, i)).filter(
    (frame) => !got.some((bytes) => same(bytes, frame)),
  );
  assert.equal(missing.length, 0, 'every frame came, as it was');
}

describe('spare connections for data', () => {
  const lab = new Lab();
  before(() => lab.start());
  afterEach(() => lab.clear());
  after(() => lab.stop());

  for (const [who, sender] of ['who began the link', 'who did not'].entries()) {
    it(`are made while data goes slowly, up to a limit, whoever sends: ${sender}`, async () => {
      const [room, a, b] = lab.room('ab', slow(0));
      await lab.join(a, b);
      const signals = room.log.length;
      const [from, to] = who === 0 ? [b, a] : [a, b];
      await send(from, to, 300);
      await until('all connections', () => lab.connections.length === ENDS * LIMITS.link.connections);
      await send(from, to, 300);
      assert.equal(lab.connections.length, ENDS * LIMITS.link.connections);
      assert.isTrue(from.mesh.isSlow(to.id));
      assert.isTrue(from.mesh.send(to.id, 'control', pattern(50, 1)));
      await until('the control message', () => to.got('control').length === 1);
      assert.equal(room.log.length, signals, 'the server has no part in it');
      assert.deepEqual([...a.mesh.refusals.recent(), ...b.mesh.refusals.recent()], []);
    });
  }

  it('are no more than one where it does not help', async () => {
    const [, a, b] = lab.room('ab', slow(1e6));
    await lab.join(a, b);
    await send(b, a, 600);
    assert.equal(lab.connections.length, ENDS * 2);
  });

  it('carry nothing where only one side has them open, and both give them up', async () => {
    const { limits } = slow(1e6);
    const [, a, b] = lab.room('ab', { limits: { ...limits, connectTimeoutMs: 3_000 } });
    await lab.join(a, b);
    lab.deafBeyond = ENDS;
    await send(b, a, 300);
    await until('a spare connection', () => lab.connections.length === ENDS * 2);
    await until('it is open at one side', () => lab.channels.some(isSpareAndOpen));
    await send(b, a, 300);
    const isClosed = ({ connectionState }: RTCPeerConnection) => connectionState === 'closed';
    await until('it is given up', () => lab.connections.slice(ENDS).every(isClosed));
    await send(b, a, 50);
    assert.deepEqual([...a.closed, ...b.closed], []);
  });

  it('are none where data goes fast', async () => {
    const [, a, b] = lab.room('ab', { limits: { slowBytesPerSecond: 1, lineTrialMs: 50 } });
    await lab.join(a, b);
    await send(b, a, 300);
    assert.equal(lab.connections.length, ENDS);
    assert.isFalse(b.mesh.isSlow(a.id));
    assert.isFalse(b.mesh.isSlow('pzzzzzzzzz'));
  });

  it('carry nothing any more where data goes fast after all', async () => {
    const { limits } = slow(0);
    const [, a, b] = lab.room('ab', { limits: { ...limits, fastBytesPerSecond: 0 } });
    await lab.join(a, b);
    await send(b, a, 300);
    await until('all connections', () => lab.connections.length === ENDS * LIMITS.link.connections);
    await until('a spare channel', () => lab.channels.some(isSpareAndOpen));
    const bytesOf = async () => {
      const reports = await Promise.all(lab.connections.slice(ENDS).map((spare) => spare.getStats()));
      const stats = reports.flatMap(
        (report) => [...report.values()] as { type: string; bytesSent?: number }[],
      );
      return stats.reduce(
        (sum, { type, bytesSent = 0 }) => sum + (type === 'data-channel' ? bytesSent : 0),
        0,
      );
    };
    const before = await bytesOf();
    await send(b, a, 300);
    assert.equal(await bytesOf(), before);
    assert.isFalse(b.mesh.isSlow(a.id));
  });

  it('take the link with them when they break, and it is made anew', async () => {
    const [, a, b] = lab.room('ab', slow(1e6));
    await lab.join(a, b);
    await send(b, a, 300);
    await until('a spare connection', () => lab.connections.length === ENDS * 2);
    await send(b, a, 300);
    lab.connections[ENDS].close();
    await until('the link is down', () => a.closed.length > 0 && b.closed.length > 0);
    await open(a, b);
    await send(b, a, 50);
  });

  it('are not made for a peer that asks wrongly', async () => {
    const [, a, b] = lab.room('ab');
    await lab.join(a, b);
    const note = (text: string) => Uint8Array.of(0xc1, ...new TextEncoder().encode(text));
    const offer = { type: 'signal', line: 1, signal: { type: 'offer', sdp: 'v=0' } };
    for (const text of ['', '{', '{"type":"wanted","more":1}', JSON.stringify(offer), '{"type":"wanted"}'])
      assert.isTrue(b.mesh.send(a.id, 'control', note(text)));
    await until('refusals', () => a.mesh.refusals.recent().length === 5);
    assert.deepEqual(
      a.mesh.refusals.recent().map(({ reason }) => reason),
      [...new Array<string>(3).fill('line-note-malformed'), 'description-malformed', 'line-unexpected'],
    );
    assert.equal(lab.connections.length, ENDS);
    await send(b, a, 50);
  });
});
