import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ForwardTask } from '../../client/ports/compute.ts';
import { headOf } from '../../client/partition/stages.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import { peekPart } from '../../shared/frames.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { SimDevice } from './device.ts';
import { SimRoom, tinyConfig, type SimPeer } from './sim-room.ts';
import { TINY } from './tiny-task.ts';

/** Rooms whose trained model is being tested while links break. Every sample counts once, by the same model. */

const MICROS = Math.ceil(TINY.test.samples / 16);

interface Scene {
  room: SimRoom;
  coordinator: SimPeer;
  head: SimPeer;
  /** Micro-batches of the test that each device has begun with its last segment. */
  tested: Map<SimDevice, number>;
}

/** @param prepare links before anything was measured; then the scene begins with the test, otherwise in the middle of it */
async function testing(changes: Partial<RunConfig> = {}, prepare?: (room: SimRoom) => void): Promise<Scene> {
  const tested: Scene['tested'] = new Map();
  const counting = (device: SimDevice) =>
    new Proxy(device, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          const task = args[0] as ForwardTask;
          if (name === 'forward' && !task.training && task.labels)
            tested.set(device, (tested.get(device) ?? 0) + 1);
          return (value as (...a: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  const room = new SimRoom(4, { wrap: counting, speeds: [0.019, 0.02, 0.02, 0.02] });
  prepare?.(room);
  assert.ok(await room.settle(), 'the room settles on a coordinator');
  await room.start(
    tinyConfig({
      partition: 'auto',
      grid: { stages: 2, lanes: 2 },
      shares: 'even',
      steps: 20,
      rule: 'deadline',
      ...changes,
    }),
  );
  const coordinator = peerOf(room, room.on[0].swarm.snapshot().term!.peer);
  assert.ok(
    await room.run(
      () =>
        coordinator.swarm.record.phase === 'evaluating' &&
        coordinator.swarm.record.share > (prepare ? -1 : 0.4),
    ),
  );
  const head = peerOf(room, headOf(coordinator.swarm.record.plan!.stages));
  assert.notEqual(head, coordinator);
  return { room, coordinator, head, tested };
}

const peerOf = (room: SimRoom, id: PeerId): SimPeer => room.peers.find((peer) => peer.id === id)!;
const isOver = ({ swarm }: SimPeer) => ['finished', 'failed'].includes(swarm.record.phase);
const pausesOf = ({ swarm }: SimPeer) => swarm.record.events.filter(({ type }) => type === 'paused');

async function untilOver(room: SimRoom): Promise<void> {
  assert.ok(await room.run(() => room.on.every(isOver), 120_000));
  for (const { swarm } of room.on) assert.equal(swarm.record.phase, 'finished', swarm.record.message);
}

const undisturbed = (async () => {
  const { room, coordinator } = await testing();
  await untilOver(room);
  room.close();
  return coordinator.swarm.record.final!;
})();

async function assertSameResult({ coordinator, tested, room }: Scene): Promise<void> {
  const { metrics } = coordinator.swarm.record.final!;
  assert.equal(metrics.samples, TINY.test.samples);
  const { correct, lossSum } = (await undisturbed).metrics;
  assert.equal(metrics.correct, correct);
  // Another plan adds the same numbers in another order.
  assert.ok(Math.abs(metrics.lossSum / lossSum - 1) < 1e-6);
  const times = room.peers.map(({ device }) => tested.get(device) ?? 0);
  assert.ok(Math.max(...times) < MICROS + 12, `${times.join(', ')} micro-batches of ${MICROS} were tested`);
}

/** Between the head and a block before it, for a second. */
async function breakLink({ room, coordinator, head }: Scene): Promise<void> {
  const [first] = coordinator.swarm.record.plan!.stages[0].lanes.filter((peer) => peer !== coordinator.id);
  room.network.cut(first, head.id);
  await room.run(() => false, 1_000);
  room.network.mend(first, head.id);
}

describe('a test of the model', () => {
  it('goes on where it was after a link between two blocks broke', async () => {
    const scene = await testing();
    const { room, coordinator } = scene;
    await breakLink(scene);
    await untilOver(room);
    await assertSameResult(scene);
    assert.deepEqual(pausesOf(coordinator), []);
    room.close();
  });

  it('waits for a peer that is out of reach for a while', async () => {
    const scene = await testing();
    const { room, coordinator, head } = scene;
    room.network.silence(head.id, true);
    await room.run(() => false, 6_000);
    room.network.silence(head.id, false);
    await untilOver(room);
    await assertSameResult(scene);
    assert.deepEqual(pausesOf(coordinator), []);
    room.close();
  });

  it('gives nothing up that only a silent peer has, before that has been silent for long', async () => {
    const scene = await testing();
    const { room, coordinator, head } = scene;
    room.network.silence(head.id, true);
    await room.run(() => false, 24_000);
    assert.match(coordinator.swarm.record.message, /Waiting for peer \d: nobody else has what it learnt/);
    room.network.silence(head.id, false);
    await untilOver(room);
    await assertSameResult(scene);
    for (const { message } of pausesOf(coordinator)) assert.doesNotMatch(message, /lost/);
    room.close();
  });

  it('is made by one peer where links turn out to be too bad for it, before anything stalls', async () => {
    const scene = await testing({}, (room) => {
      for (const { id: a } of room.peers)
        for (const { id: b } of room.peers) if (a < b) room.network.shape(a, b, { bytesPerMs: 500 });
      let frames = 0;
      room.network.isLost = (_, __, frame) => peekPart(frame)?.kind === 'evaluation' && frames++ % 12 === 11;
    });
    const { room, coordinator } = scene;
    await untilOver(room);
    await assertSameResult(scene);
    assert.match(pausesOf(coordinator)[0].message, /the rest of the test would take about \d+ s more/);
    const { plan, trainedPlan } = coordinator.swarm.record;
    assert.equal(plan!.stages[0].lanes.length, 1);
    const report = makeReport(coordinator.swarm.record);
    assert.ok(trainedPlan!.stages.length * trainedPlan!.stages[0].lanes.length > 1);
    assert.equal(report.plan.version, trainedPlan!.version, 'the report is about the plan that trained');
    for (const { blocks } of report.peers) assert.equal(blocks.length, 1);
    for (const { forward_bytes, expected_bytes } of report.plan.boundaries)
      assert.equal(forward_bytes, expected_bytes);
    room.close();
  });

  it('goes on from where it was after a pause, too, which says why there was one', async () => {
    const scene = await testing({ rule: 'stall' });
    const { room, coordinator } = scene;
    await breakLink(scene);
    await untilOver(room);
    await assertSameResult(scene);
    assert.match(pausesOf(coordinator)[0].message, /a link to a neighbour in the pipeline broke/);
    room.close();
  });

  it('begins anew where the model is another one, and counts no sample twice', async () => {
    const { room, coordinator, head, tested } = await testing();
    const before = new Map(tested);
    room.kill(room.peers.indexOf(head) + 1);
    await untilOver(room);
    assert.equal(coordinator.swarm.record.final!.metrics.samples, TINY.test.samples);
    assert.match(pausesOf(coordinator)[0].message, /Nobody else held/);
    const { stages } = coordinator.swarm.record.plan!;
    const { device } = peerOf(room, stages[0].lanes[0]);
    assert.equal(tested.get(device)! - (before.get(device) ?? 0), MICROS);
    assert.deepEqual(
      stages.map(({ lanes }) => lanes.length),
      [1],
      'links are not trusted with it again: one peer makes it alone',
    );
    room.close();
  });
});
