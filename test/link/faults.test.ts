import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DelayedTransport } from '../../client/link/faults.ts';
import { newStats } from '../../client/link/link.ts';
import type { Transport, TransportHandlers } from '../../client/ports/transport.ts';
import { LIMITS } from '../../shared/limits.ts';
import { FakeClock } from './fake-clock.ts';

function setUp(delayMs: (peer: string) => number) {
  let inner: TransportHandlers | null = null;
  let closed = false;
  const transport: Transport = {
    self: 'pself',
    listen: (handlers) => (inner = handlers),
    peers: () => ['near'],
    send: () => true,
    whenWritable: () => Promise.resolve(true),
    stats: newStats,
    close: () => (closed = true),
  };
  const clock = new FakeClock();
  const delayed = new DelayedTransport(transport, clock, delayMs);
  const events: string[] = [];
  delayed.listen({
    onOpen: (peer) => events.push(`${clock.now()} open ${peer}`),
    onClose: (peer) => events.push(`${clock.now()} close ${peer}`),
    onMessage: (peer, channel, bytes) => events.push(`${clock.now()} ${peer} ${channel} ${bytes[0]}`),
  });
  return { clock, delayed, events, wire: inner!, isClosed: () => closed };
}

test('what comes from a far peer is late by its delay, from a near one at once, in order', () => {
  const { clock, events, wire } = setUp((peer) => (peer === 'far' ? 50 : 0));
  wire.onOpen('far');
  wire.onMessage('near', 'data', Uint8Array.of(1));
  clock.advance(10);
  wire.onMessage('far', 'data', Uint8Array.of(2));
  wire.onMessage('far', 'control', Uint8Array.of(3));
  wire.onClose('far', 'gone');
  clock.advance(39);
  assert.deepEqual(events, ['0 near data 1']);
  clock.advance(100);
  assert.deepEqual(events.slice(1), ['50 open far', '60 far data 2', '60 far control 3', '60 close far']);
  assert.equal(clock.pending, 0);
});

test('order is kept when the delay falls', () => {
  let delay = 100;
  const { clock, events, wire } = setUp(() => delay);
  wire.onMessage('far', 'data', Uint8Array.of(1));
  delay = 0;
  wire.onMessage('far', 'data', Uint8Array.of(2));
  clock.advance(99);
  assert.deepEqual(events, []);
  clock.advance(1);
  assert.deepEqual(events, ['100 far data 1', '100 far data 2']);
  wire.onMessage('far', 'data', Uint8Array.of(3));
  assert.equal(events.length, 3);
});

test('what is held back is bounded: the oldest is delivered early', () => {
  const { clock, events, wire } = setUp(() => 1000);
  const bytes = new Uint8Array(LIMITS.link.delayedBytes / 4);
  for (let i = 0; i < 6; i++) wire.onMessage('far', 'data', bytes);
  assert.equal(events.length, 2);
  clock.advance(1000);
  assert.equal(events.length, 6);
});

test('closing drops what is held back and leaves no timer', () => {
  const { clock, delayed, events, wire, isClosed } = setUp(() => 50);
  wire.onMessage('far', 'data', Uint8Array.of(1));
  delayed.close();
  assert.equal(clock.pending, 0);
  wire.onMessage('far', 'data', Uint8Array.of(2));
  clock.advance(100);
  assert.deepEqual(events, []);
  assert.ok(isClosed());
});
