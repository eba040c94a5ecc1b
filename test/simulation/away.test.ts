import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { headOf } from '../../client/partition/stages.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom, tinyConfig, type SimPeer } from './sim-room.ts';

/** Rooms under `deadline` in which somebody is out of reach for a while, and links say nothing of it, or break. */

const STEPS = 1_500;
const AWAY_MS = 20_000;

interface Scene {
  room: SimRoom;
  /** Sees the whole of it. */
  witness: SimPeer;
  absent: SimPeer;
}

/** Who goes away: any holder of a block, the one that tests the model at the end and so far told of the loss first, or the coordinator. */
type Role = 'lane' | 'head' | 'coordinator';

async function training(changes: Partial<RunConfig> = {}, role: Role = 'lane'): Promise<Scene> {
  const isHead = role === 'head';
  // Slow enough that somebody can be away for long. The first one here coordinates, the best one of a stage owns it.
  const room = new SimRoom(4, { speeds: [isHead ? 0.019 : 0.02, 0.02, 0.02, 0.02] });
  assert.ok(await room.settle(), 'the room settles on a coordinator');
  const grid = { stages: 2, lanes: 2 };
  await room.start(
    tinyConfig({ partition: 'auto', grid, shares: 'even', steps: STEPS, rule: 'deadline', ...changes }),
  );
  const coordinator = room.on[0].swarm.snapshot().term!.peer;
  const witness = peerOf(room, coordinator);
  assert.ok(await room.run(() => stepOf(witness) >= 30));
  const { stages } = witness.swarm.record.plan!;
  const holders = stages.flatMap(({ lanes }) => lanes);
  const absent = holders.find((peer) => peer !== coordinator && (peer === headOf(stages)) === isHead);
  assert.ok(absent, 'somebody else coordinates');
  const other = peerOf(room, absent);
  return role === 'coordinator'
    ? { room, witness: other, absent: witness }
    : { room, witness, absent: other };
}

/** Under which plan a peer is. */
const planOf = ({ swarm }: SimPeer) => ({
  term: swarm.record.plan!.term,
  version: swarm.record.plan!.version,
});

const peerOf = (room: SimRoom, id: PeerId): SimPeer => room.peers.find((peer) => peer.id === id)!;
const stepOf = ({ swarm }: SimPeer): number => swarm.record.lastStep?.step ?? -1;
const phaseOf = ({ swarm }: SimPeer): string => swarm.record.phase;
const eventsOf = ({ swarm }: SimPeer, type: string) =>
  swarm.record.events.filter((event) => event.type === type);
const isOver = (peer: SimPeer): boolean => ['finished', 'failed'].includes(phaseOf(peer));

/** Virtual time passes; gives the longest time without a step. */
async function watch({ room, witness }: Scene, ms: number): Promise<number> {
  const startMs = room.time.nowMs;
  let longestMs = 0;
  let lastMs = startMs;
  let step = stepOf(witness);
  await room.run(() => {
    if (stepOf(witness) !== step) {
      longestMs = Math.max(longestMs, room.time.nowMs - lastMs);
      lastMs = room.time.nowMs;
      step = stepOf(witness);
    }
    return room.time.nowMs - startMs >= ms;
  }, ms + 1_000);
  return Math.max(longestMs, room.time.nowMs - lastMs);
}

async function assertEndsWell({ room, witness, absent }: Scene): Promise<void> {
  assert.ok(await room.run(() => room.on.every(isOver), 600_000));
  for (const peer of room.on) assert.equal(phaseOf(peer), 'finished', peer.swarm.record.message);
  assert.equal(stepOf(witness), STEPS - 1);
  assert.equal(eventsOf(witness, 'paused').length, 0);
  const { ledger } = witness.swarm.record.peers.find(({ id }) => id === absent.id)!;
  assert.equal(ledger.whole + ledger.partial + ledger.skipped, STEPS * 4, 'it accounts for all, once');
  assert.ok(ledger.skipped > 0 && ledger.skipped < STEPS * 3, `${ledger.skipped} skipped`);
}

describe('a peer that is out of reach for a while', () => {
  it('does not stop a room that can do without it, and takes part again when it is back', async () => {
    const scene = await training();
    const { room, witness, absent } = scene;
    const { term } = witness.swarm.snapshot();
    room.network.silence(absent.id, true);
    const longestMs = await watch(scene, AWAY_MS);
    assert.ok(longestMs < 2_000, `no step for ${longestMs} ms`);
    assert.equal(phaseOf(witness), 'training');
    assert.equal(phaseOf(absent), 'paused');
    assert.match(absent.swarm.record.message, /no link to the others/);
    assert.match(eventsOf(witness, 'peer-away')[0].message, /done without until it is heard again/);
    room.network.silence(absent.id, false);
    await watch(scene, 2_000);
    assert.equal(phaseOf(absent), 'training');
    assert.equal(stepOf(absent), stepOf(witness));
    assert.equal(eventsOf(witness, 'peer-back').length, 1);
    assert.deepEqual(witness.swarm.snapshot().term, term, 'nobody claimed another term');
    await assertEndsWell(scene);
    room.close();
  });

  it('does not either where it is the head: another lane makes the loss, and tells of it', async () => {
    const scene = await training({}, 'head');
    const { room, witness, absent } = scene;
    room.network.silence(absent.id, true);
    const longestMs = await watch(scene, AWAY_MS);
    assert.ok(longestMs < 2_000, `no step for ${longestMs} ms`);
    assert.equal(phaseOf(witness), 'training');
    room.network.silence(absent.id, false);
    await assertEndsWell(scene);
    const { steps } = witness.swarm.record;
    assert.deepEqual(
      steps.map(({ step }) => step),
      Array.from({ length: STEPS }, (_, i) => i),
    );
    room.close();
  });

  it('does not either where its links break and are made again', async () => {
    const scene = await training();
    const { room, absent } = scene;
    const others = room.peers.filter((peer) => peer !== absent);
    for (const { id } of others) room.network.cut(absent.id, id);
    const longestMs = await watch(scene, AWAY_MS);
    assert.ok(longestMs < 2_000, `no step for ${longestMs} ms`);
    for (const { id } of others) room.network.mend(absent.id, id);
    await assertEndsWell(scene);
    room.close();
  });

  for (const how of ['silence', 'cut'] as const) {
    it(`does not either where it coordinates: another takes over, the plan stays (${how})`, async () => {
      const scene = await training({}, 'coordinator');
      const { room, witness, absent } = scene;
      const plan = planOf(witness);
      const others = room.peers.filter((peer) => peer !== absent);
      if (how === 'silence') room.network.silence(absent.id, true);
      else for (const { id } of others) room.network.cut(absent.id, id);
      const longestMs = await watch(scene, AWAY_MS);
      assert.ok(longestMs < 2_000, `no step for ${longestMs} ms`);
      assert.equal(phaseOf(witness), 'training');
      assert.equal(phaseOf(absent), 'paused');
      assert.notEqual(witness.swarm.snapshot().term!.peer, absent.id);
      if (how === 'silence') room.network.silence(absent.id, false);
      else for (const { id } of others) room.network.mend(absent.id, id);
      await watch(scene, 2_000);
      assert.equal(phaseOf(absent), 'training');
      assert.equal(stepOf(absent), stepOf(witness));
      for (const peer of room.peers) assert.deepEqual(planOf(peer), plan, 'nobody made another plan');
      await assertEndsWell(scene);
      assert.equal(eventsOf(witness, 'coordinator').length, 2);
      room.close();
    });
  }

  it('is told of again what it missed: blocks that were done before another took over', async () => {
    const scene = await training({ steps: 200 }, 'coordinator');
    const { room, witness, absent } = scene;
    assert.ok(await room.run(() => stepOf(witness) >= 195));
    room.network.silence(absent.id, true);
    assert.ok(await room.run(() => witness.swarm.snapshot().term!.peer !== absent.id, 10_000));
    assert.equal(stepOf(witness), 199);
    room.network.silence(absent.id, false);
    assert.ok(await room.run(() => room.on.every(isOver), 60_000));
    for (const peer of room.on) assert.equal(phaseOf(peer), 'finished', peer.swarm.record.message);
    assert.equal(eventsOf(witness, 'paused').length, 0);
    room.close();
  });

  it('goes by what the others did where it coordinated and is back after the end', async () => {
    const scene = await training({ grid: null }, 'coordinator');
    const { room, witness, absent } = scene;
    const others = room.peers.filter((peer) => peer !== absent);
    for (const { id } of others) room.network.cut(absent.id, id);
    assert.ok(await room.run(() => others.every(isOver), 600_000));
    for (const { id } of others) room.network.mend(absent.id, id);
    await room.run(() => false, 10_000);
    for (const peer of room.peers) assert.equal(phaseOf(peer), 'finished', peer.swarm.record.message);
    assert.deepEqual(absent.swarm.record.final, witness.swarm.record.final);
    const terms = room.peers.map(({ swarm }) => swarm.snapshot().term);
    for (const term of terms) assert.deepEqual(term, terms[0]);
    assert.notEqual(terms[0]!.peer, absent.id);
    room.close();
  });

  it('is replaced where it stays away', async () => {
    const scene = await training({ grid: null });
    const { room, witness, absent } = scene;
    room.network.silence(absent.id, true);
    await watch(scene, LIMITS.liveness.awayMs - 1_000);
    assert.equal(eventsOf(witness, 'paused').length, 0);
    const others = room.on.filter((peer) => peer !== absent);
    const isWithout = () =>
      others.every(
        (peer) => phaseOf(peer) === 'training' && !peer.swarm.record.plan!.dataHomes.includes(absent.id),
      );
    assert.ok(await room.run(isWithout, 30_000));
    assert.equal(eventsOf(witness, 'paused').length, 1);
    room.kill(room.peers.indexOf(absent) + 1);
    assert.ok(await room.run(() => others.every(isOver), 600_000));
    for (const peer of others) assert.equal(phaseOf(peer), 'finished', peer.swarm.record.message);
    room.close();
  });

  it('stops the room at once where nobody can do without it', async () => {
    const scene = await training({ grid: { stages: 4, lanes: 1 } });
    const { room, witness, absent } = scene;
    room.network.silence(absent.id, true);
    assert.ok(await room.run(() => phaseOf(witness) !== 'training', 4_000));
    assert.equal(eventsOf(witness, 'peer-away').length, 0);
    room.close();
  });

  it('stops the room at once under a rule that waits for every part', async () => {
    const scene = await training({ rule: 'stall' });
    const { room, witness, absent } = scene;
    room.network.silence(absent.id, true);
    assert.ok(await room.run(() => phaseOf(witness) !== 'training', 4_000));
    room.close();
  });

  it('stops the room at once where it says good-bye', async () => {
    const scene = await training({ grid: null });
    const { witness, absent, room } = scene;
    absent.swarm.close();
    assert.ok(await room.run(() => phaseOf(witness) !== 'training', 1_000));
    room.close();
  });
});
