import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { withAliases, type Endpoint } from '../../client/cli/lab/ice.ts';
import { UdpRelay, type RelayTraits } from '../../client/cli/lab/relay.ts';

const PERFECT: RelayTraits = { loss: 0, burst: null, latencyMs: 0, jitterMs: 0, bytesPerSecond: null };
const PACKETS = 200;

/** Two peers that know of each other what the relay tells them. */
async function pair(t: TestContext, traits: Partial<RelayTraits>, seed = 1) {
  const relay = new UdpRelay({ traits: { ...PERFECT, ...traits }, seed });
  const sockets = await Promise.all([open(), open()]);
  t.after(async () => {
    await relay.close();
    for (const socket of sockets) socket.close();
  });
  const [a, b] = sockets;
  const toB = await relay.aliasOf(endpointOf(b), 1);
  const toA = await relay.aliasOf(endpointOf(a), 2);
  return { relay, a, b, toA, toB };
}

async function open(): Promise<Socket> {
  const socket = createSocket('udp4');
  socket.bind({ address: '127.0.0.1', port: 0 });
  await once(socket, 'listening');
  return socket;
}

function endpointOf(socket: Socket): Endpoint {
  const { address, port } = socket.address();
  return { address, port };
}

/** Numbers that come, until the last one sent has: it goes on being sent until it gets through. */
async function numbersThrough(from: Socket, to: Endpoint, at: Socket): Promise<number[]> {
  const seen: number[] = [];
  const isOver = new Promise<void>((done) => {
    at.on('message', (bytes) => {
      const number = bytes.readUInt32BE();
      if (number < PACKETS) seen.push(number);
      else done();
    });
  });
  for (let number = 0; number < PACKETS; number++) await send(from, to, number);
  const last = setInterval(() => void send(from, to, PACKETS), 5);
  await isOver;
  clearInterval(last);
  return seen;
}

async function send(from: Socket, to: Endpoint, number: number): Promise<void> {
  const bytes = Buffer.alloc(100);
  bytes.writeUInt32BE(number);
  await new Promise((sent) => from.send(bytes, to.port, to.address, sent));
}

describe('the relay', { timeout: 60_000 }, () => {
  it('brings packets both ways, from the address that stands for who sent them', async (t) => {
    const { a, b, toA, toB } = await pair(t, {});
    const atB = once(b, 'message');
    await send(a, toB, 7);
    const [bytes, from] = (await atB) as [Buffer, Endpoint];
    assert.equal(bytes.readUInt32BE(), 7);
    assert.deepEqual([from.address, from.port], [toA.address, toA.port]);
    const atA = once(a, 'message');
    await send(b, from, 8);
    const [, back] = (await atA) as [Buffer, Endpoint];
    assert.deepEqual([back.address, back.port], [toB.address, toB.port]);
  });

  it('loses the same packets for the same seed, and says how many', async (t) => {
    const runs = [];
    for (const seed of [3, 3, 4]) {
      const { relay, a, b, toB } = await pair(t, { loss: 0.3 }, seed);
      runs.push(await numbersThrough(a, toB, b));
      const { sent, lost } = relay.packets;
      assert.ok(sent > PACKETS && lost >= PACKETS - runs.at(-1)!.length, `${sent}, ${lost}`);
    }
    const [first, again, other] = runs;
    assert.ok(first.length > 0.5 * PACKETS && first.length < 0.9 * PACKETS, String(first.length));
    assert.deepEqual(again, first);
    assert.notDeepEqual(other, first);
  });

  it('keeps the order where the latency varies', async (t) => {
    const { a, b, toB } = await pair(t, { latencyMs: 5, jitterMs: 5 });
    const seen = await numbersThrough(a, toB, b);
    assert.deepEqual(
      seen,
      Array.from({ length: PACKETS }, (_, i) => i),
    );
  });

  it('lets nothing through to a peer that is cut off, and all once it is healed', async (t) => {
    const { relay, a, b, toB } = await pair(t, {});
    relay.cut(2);
    let came = 0;
    b.on('message', () => came++);
    for (let number = 0; number < 20; number++) await send(a, toB, number);
    while (relay.packets.lost < 20) await new Promise((done) => setTimeout(done, 1));
    assert.equal(came, 0);
    relay.heal(2);
    const atB = once(b, 'message');
    await send(a, toB, 99);
    await atB;
    assert.equal(came, 1);
  });

  it('takes nothing from whom nobody was told of', async (t) => {
    const { relay, a, b, toB } = await pair(t, {});
    const stranger = await open();
    t.after(() => stranger.close());
    const atB = once(b, 'message');
    await send(stranger, toB, 1);
    await send(a, toB, 2);
    const [bytes] = (await atB) as [Buffer];
    assert.equal(bytes.readUInt32BE(), 2);
    assert.equal(relay.packets.sent, 1);
  });
});

describe('what a page hears of addresses', () => {
  const alias = ({ port }: Endpoint) => Promise.resolve({ address: '10.0.0.1', port: port + 1 });

  it('leads to the relay, in a candidate', async () => {
    const host =
      'candidate:1 1 udp 2113937151 192.168.1.7 5000 typ host generation 0 ufrag abcd network-cost 999';
    assert.equal(await withAliases(host, alias), 'candidate:1 1 udp 2113937151 10.0.0.1 5001 typ host');
    const tcp = 'candidate:2 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active';
    assert.equal(await withAliases(tcp, alias), '');
    assert.equal(await withAliases('', alias), '');
  });

  it('leads to the relay, in a description', async () => {
    const lines = [
      'v=0',
      'a=candidate:1 1 UDP 1 192.168.1.7 5000 typ host',
      'a=candidate:2 1 tcp 1 192.168.1.7 9 typ host',
      'a=ice-ufrag:x',
      '',
    ];
    assert.equal(
      await withAliases(lines.join('\r\n'), alias),
      ['v=0', 'a=candidate:1 1 UDP 1 10.0.0.1 5001 typ host', 'a=ice-ufrag:x', ''].join('\r\n'),
    );
  });
});
