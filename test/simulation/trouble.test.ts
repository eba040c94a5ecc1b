import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { PeerId } from '../../shared/ids.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { SimDevice } from './device.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { layersOf } from '../../client/partition/stages.ts';
import { SimRoom, tinyConfig, type SimPeer } from './sim-room.ts';

/** Rooms where two things go wrong at once, or at the worst moment. */

type Wrap = NonNullable<ConstructorParameters<typeof SimRoom>[1]>['wrap'];

async function settled(peers: number, wrap?: Wrap): Promise<SimRoom> {
  const room = new SimRoom(peers, wrap ? { wrap } : {});
  assert.ok(await room.settle(), 'the room settles on a coordinator');
  return room;
}

const recordOf = (room: SimRoom) => room.on[0].swarm.record;
const stepOf = (peer: SimPeer) => peer.swarm.record.lastStep?.step ?? -1;
const reach = (room: SimRoom, step: number) => room.run(() => room.on.every((peer) => stepOf(peer) >= step));
const coordinatorOf = (room: SimRoom): PeerId => room.on[0].swarm.snapshot().term!.peer;
const numberOf = (room: SimRoom, id: PeerId): number => room.peers.findIndex((peer) => peer.id === id) + 1;
const isOver = (peer: SimPeer) => ['finished', 'failed'].includes(peer.swarm.record.phase);
const untilOver = (room: SimRoom, limitMs = 600_000) => room.run(() => room.on.every(isOver), limitMs);
const inPhase = (room: SimRoom, phase: string) =>
  room.run(() => room.on.every((peer) => peer.swarm.record.phase === phase));

function assertFinished(room: SimRoom): void {
  for (const peer of room.on) {
    assert.equal(peer.swarm.record.phase, 'finished', `${peer.id}: ${peer.swarm.record.message}`);
  }
}

/** Changes what devices answer, from a moment on. */
function meddle(change: (device: SimDevice, method: string) => Promise<never> | null): Wrap {
  return (device) =>
    new Proxy(device, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown =>
          change(target, String(name)) ?? (value as (...a: unknown[]) => unknown).apply(target, args);
      },
    });
}

/** Devices that take ten seconds to be measured. */
const slowlyMeasured: Wrap = (device) =>
  new Proxy(device, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (name === 'profile')
        return (...args: Parameters<SimDevice['profile']>) => target.profileSlowly(10_000, ...args);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });

describe('trouble upon trouble', () => {
  it('a wish for a run whose answer gets lost is granted once, and not refused when it comes again', async () => {
    const room = await settled(3);
    const coordinator = coordinatorOf(room);
    const other = room.peers.find(({ id }) => id !== coordinator)!;
    room.network.shape(other.id, coordinator, { latencyMs: 500 });
    let refusal: unknown = null;
    let isAnswered = false;
    other.swarm.start(tinyConfig({ steps: 200 })).then(
      () => (isAnswered = true),
      (error: unknown) => {
        refusal = error;
        isAnswered = true;
      },
    );
    const { record } = room.peers[numberOf(room, coordinator) - 1].swarm;
    assert.ok(await room.run(() => record.phase === 'preparing'));
    room.network.cut(other.id, coordinator);
    await room.run(() => false, 800);
    room.network.mend(other.id, coordinator);
    assert.ok(await room.run(() => isAnswered, 20_000));
    assert.equal(refusal, null);
    await untilOver(room);
    assertFinished(room);
    assert.equal(recordOf(room).events.filter(({ type }) => type === 'coordinator').length, 1);
    room.close();
  });

  for (const how of ['is killed', 'leaves'] as const) {
    it(`a second peer ${how} while the room mends: the rest still goes on`, async () => {
      const room = await settled(5);
      await room.start(tinyConfig({ steps: 1500 }));
      await reach(room, 30);
      const coordinator = coordinatorOf(room);
      const [first, second] = recordOf(room)
        .plan!.stages.map((stage) => stage.lanes[0])
        .filter((peer) => peer !== coordinator);
      room.kill(numberOf(room, first));
      const survivor = room.peers[numberOf(room, coordinator) - 1].swarm.record;
      assert.ok(await room.run(() => survivor.phase === 'preparing', 20_000));
      if (how === 'leaves') room.peers[numberOf(room, second) - 1].swarm.close();
      room.kill(numberOf(room, second));
      await untilOver(room);
      assertFinished(room);
      assert.equal(recordOf(room).lastStep!.step, 1499);
      room.close();
    });
  }

  it('a device that is lost for good: the run ends with the reason, and the next one goes on without it', async () => {
    let lost: SimDevice | null = null;
    const room = await settled(
      3,
      meddle((device, method) =>
        device === lost && method !== 'close'
          ? Promise.reject(new Error('This device lost its graphics memory.'))
          : null,
      ),
    );
    await room.start(tinyConfig({ steps: 3000 }));
    await reach(room, 20);
    lost = room.peers.find((peer) => peer.id !== coordinatorOf(room))!.device;
    await untilOver(room);
    assert.match(recordOf(room).message, /lost its graphics memory/);
    const startMs = room.time.nowMs;
    await room.train(tinyConfig({ steps: 5 }));
    assertFinished(room);
    assert.ok(room.time.nowMs - startMs < 10_000, `the next run took ${room.time.nowMs - startMs} ms`);
    assert.equal(makeReport(recordOf(room)).plan.stages.length, 2);
    room.close();
  });

  it('peers that cannot link to each other: the plan makes do with fewer stages, but not with one', async () => {
    const room = await settled(4);
    const coordinator = coordinatorOf(room);
    const leaves = room.peers.filter((peer) => peer.id !== coordinator);
    for (const a of leaves) for (const b of leaves) if (a.id < b.id) room.network.cut(a.id, b.id);
    await room.run(() => false, 8_000);
    void room.peers[numberOf(room, coordinator) - 1].swarm.start(tinyConfig({ steps: 20 }));
    await untilOver(room, 60_000);
    assertFinished(room);
    assert.equal(makeReport(room.peers[numberOf(room, coordinator) - 1].swarm.record).plan.stages.length, 3);
    room.close();
  });

  it('a link that breaks for a second loses no order: everybody learns the end of the run', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 200 }));
    await inPhase(room, 'evaluating');
    const coordinator = coordinatorOf(room);
    const other = room.peers.find((peer) => peer.id !== coordinator)!.id;
    room.network.cut(coordinator, other);
    await room.run(() => false, 1_000);
    room.network.mend(coordinator, other);
    await untilOver(room, 60_000);
    assertFinished(room);
    for (const peer of room.on) assert.ok(peer.swarm.record.final, `${peer.id} has the result`);
    const pauses = recordOf(room).events.filter(({ type }) => type === 'paused');
    assert.match(pauses[0].message, /the link to it broke\. It is back\./);
    room.close();
  });

  it('a peer that returns under another plan takes the newer state from its holder, not its own older copy', async () => {
    const room = await settled(5);
    await room.start(tinyConfig({ steps: 1500 }));
    await reach(room, 30);
    const coordinator = coordinatorOf(room);
    const holders = recordOf(room).plan!.stages.map((stage) => stage.lanes[0]);
    const [victim, , sleeper] = holders.filter((peer) => peer !== coordinator);
    const asleepAt = stepOf(room.on[0]);
    room.freeze(numberOf(room, sleeper), 9_000);
    assert.ok(
      await room.run(() => recordOf(room).plan!.version > 1 && recordOf(room).phase === 'training', 30_000),
    );
    const returned = room.peers[numberOf(room, sleeper) - 1];
    assert.ok(
      await room.run(() => returned.swarm.record.phase === 'training' && stepOf(returned) > 100, 60_000),
    );
    const { stages } = recordOf(room).plan!;
    const graph = modelGraph(recordOf(room).config!.model);
    const lost = stages
      .filter((stage) => stage.lanes[0] === victim)
      .flatMap((stage) => layersOf(graph, stage));
    room.kill(numberOf(room, victim));
    await untilOver(room);
    assertFinished(room);
    const fresh = returned.device.loaded.filter(({ layer }) => !lost.includes(layer));
    assert.ok(fresh.length > 0, 'it took over a layer that somebody holds');
    for (const { layer, updates } of fresh)
      assert.ok(updates > asleepAt + 20, `${layer} as of update ${updates}`);
    room.close();
  });
});

describe('Stop at any moment', () => {
  it('while devices are measured: at once, and the next run works', async () => {
    const room = await settled(3, slowlyMeasured);
    await room.start(tinyConfig());
    await room.run(() => false, 1_000);
    assert.equal(recordOf(room).phase, 'preparing');
    const startMs = room.time.nowMs;
    room.on[1].swarm.stop();
    await untilOver(room, 60_000);
    assert.match(recordOf(room).message, /Stopped before the first step/);
    assert.ok(room.time.nowMs - startMs < 2_000, `after ${room.time.nowMs - startMs} ms`);
    await room.train(tinyConfig({ steps: 5 }));
    assertFinished(room);
    room.close();
  });

  it('while the model is tested: the run is complete all the same', async () => {
    const room = await settled(2);
    await room.start(tinyConfig({ steps: 30 }));
    await inPhase(room, 'evaluating');
    room.on[0].swarm.stop();
    await untilOver(room, 60_000);
    assertFinished(room);
    assert.equal(recordOf(room).final!.stoppedEarly, false);
    assert.equal(recordOf(room).plan!.version, 1, 'the test was not begun anew');
    room.close();
  });

  it('and then the test fails: the run ends with the reason', async () => {
    let isStopped = false;
    const room = await settled(
      2,
      meddle((_, method) =>
        isStopped && method === 'forward' ? Promise.reject(new Error('Evaluation is broken here.')) : null,
      ),
    );
    await room.start(tinyConfig({ steps: 100_000 }));
    await reach(room, 20);
    room.on[0].swarm.stop();
    await room.run(() => recordOf(room).phase === 'preparing' && recordOf(room).plan!.version > 1, 20_000);
    isStopped = true;
    assert.ok(await untilOver(room, 120_000), `still ${recordOf(room).phase}`);
    assert.equal(recordOf(room).phase, 'failed');
    room.close();
  });

  it('and then the coordinator dies: the next one does not train on', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 3000 }));
    await reach(room, 30);
    room.on[1].swarm.stop();
    await inPhase(room, 'evaluating');
    const stopped = recordOf(room).plan!.endStep;
    room.kill(numberOf(room, coordinatorOf(room)));
    await untilOver(room);
    assertFinished(room);
    assert.equal(recordOf(room).lastStep!.step, stopped - 1);
    assert.ok(recordOf(room).final!.stoppedEarly);
    room.close();
  });
});

describe('terms', () => {
  it('a newcomer with a lower id that elected itself does not take over a room that prepares', async () => {
    const room = new SimRoom(3, { wrap: slowlyMeasured });
    const [newcomer, ...others] = room.peers;
    for (const other of others) room.network.cut(newcomer.id, other.id);
    assert.ok(await room.run(() => others.every((peer) => peer.swarm.snapshot().settled), 30_000));
    void others[0].swarm.start(tinyConfig({ steps: 20 }));
    assert.ok(await room.run(() => others.every((peer) => peer.swarm.record.phase === 'preparing'), 20_000));
    for (const other of others) room.network.mend(newcomer.id, other.id);
    assert.ok(await untilOver(room, 120_000), `after two minutes: ${others[0].swarm.record.phase}`);
    assertFinished(room);
    assert.equal(newcomer.swarm.snapshot().term!.peer, others[0].swarm.snapshot().term!.peer);
    room.close();
  });

  it('frames of an earlier run under the same term are refused', async () => {
    const losses = async (late: boolean) => {
      const room = await settled(2);
      const deliver = room.network.deliver.bind(room.network);
      const kept: Parameters<typeof deliver>[] = [];
      room.network.deliver = (...args) => {
        if (args[2] === 'data' && args[3].length > 100 && args[3].length < 5000 && kept.length < 40)
          kept.push(args);
        deliver(...args);
      };
      await room.start(tinyConfig({ steps: 1000 }));
      await reach(room, 2);
      room.on[0].swarm.stop();
      await untilOver(room);
      const earlier = recordOf(room).run;
      void room.on[0].swarm.start(tinyConfig({ steps: 20, seed: 99 }));
      await room.run(() => recordOf(room).run !== earlier && recordOf(room).phase === 'training');
      if (late) for (const [from, to, channel, bytes] of kept) room.network.inject(from, to, channel, bytes);
      await untilOver(room);
      room.close();
      return recordOf(room).steps.map((step) => step.loss);
    };
    assert.deepEqual(await losses(true), await losses(false));
  });

  it('a run that no device can take part in ends with the reason of each', async () => {
    const room = await settled(2, (device) => {
      device.profile = () => Promise.reject(new Error('its graphics memory is lost.'));
      return device;
    });
    void room.on[0].swarm.start(tinyConfig()).catch(() => undefined);
    await untilOver(room);
    const { phase, message } = recordOf(room);
    assert.equal(phase, 'failed');
    assert.match(
      message,
      /No peer takes a block\. .+: its graphics memory is lost\. .+: its graphics memory is lost\./,
    );
    room.close();
  });
});
