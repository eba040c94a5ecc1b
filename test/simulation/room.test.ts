import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isWork } from '../../client/pipeline/timeline.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import { centralities, mostCentral } from '../../client/swarm/membership/centrality.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { layersOf } from '../../client/partition/stages.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

async function settled(peers: number, shape: (room: SimRoom) => void = () => undefined): Promise<SimRoom> {
  const room = new SimRoom(peers);
  shape(room);
  assert.ok(await room.settle(), 'the room settles on a coordinator');
  return room;
}

const recordOf = (room: SimRoom) => room.on[0].swarm.record;

const finished = (room: SimRoom) => {
  for (const peer of room.on) {
    assert.equal(peer.swarm.record.phase, 'finished', `${peer.id}: ${peer.swarm.record.message}`);
  }
  return recordOf(room);
};

/** Runs until the given step was reported to everybody. */
const reach = (room: SimRoom, step: number) =>
  room.run(() => room.on.every((peer) => (peer.swarm.record.lastStep?.step ?? -1) >= step));

describe('election', () => {
  it('elects the peer with the shortest links, and the report lets anybody compute that', async () => {
    const room = await settled(5, ({ network, peers }) => {
      for (const a of peers) {
        for (const b of peers) {
          if (a.id >= b.id) continue;
          const throughThree = a === peers[2] || b === peers[2];
          network.shape(a.id, b.id, { latencyMs: throughThree ? 5 : 60 });
        }
      }
    });
    const three = room.peers[2].id;
    for (const peer of room.peers) assert.equal(peer.swarm.snapshot().term?.peer, three);
    await room.train(tinyConfig({ steps: 2 }));
    const report = makeReport(finished(room));
    const links = report.links.map(({ a, b, rtt_ms, loss, goodput }) => ({
      a,
      b,
      rttMs: rtt_ms,
      loss,
      goodput,
    }));
    const centrality = centralities(
      report.peers.map((peer) => peer.id),
      links,
    );
    assert.equal(mostCentral(centrality), three);
    assert.ok(Math.abs(centrality.get(three)! - report.coordinator[0].centrality) < 1e-12);
    room.close();
  });

  it('keeps the incumbent when another peer is only a little better', async () => {
    const room = await settled(3);
    const incumbent = room.peers[0].swarm.snapshot().term!.peer;
    const challenger = room.peers.find((peer) => peer.id !== incumbent)!.id;
    for (const peer of room.peers) {
      if (peer.id !== challenger) room.network.shape(peer.id, challenger, { latencyMs: 1.9 });
    }
    await room.run(() => false, 20_000);
    assert.equal(room.peers[0].swarm.snapshot().term!.peer, incumbent);
    room.close();
  });

  it('a newcomer that elected itself while alone does not take a running room over', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 400 }));
    await reach(room, 5);
    const coordinator = recordOf(room).events.find((event) => event.type === 'coordinator')!.peer;
    const late = room.add();
    for (const peer of room.peers) if (peer !== late) room.network.cut(late.id, peer.id);
    await room.run(() => late.swarm.snapshot().term !== null);
    assert.equal(late.swarm.snapshot().term!.peer, late.id, 'alone it elects itself');
    for (const peer of room.peers) if (peer !== late) room.network.mend(late.id, peer.id);
    await room.run(() => late.swarm.snapshot().term!.peer !== late.id, 10_000);
    for (const peer of room.peers) assert.equal(peer.swarm.snapshot().term!.peer, coordinator);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'));
    assert.equal(finished(room).steps.length, 400);
    room.close();
  });
});

describe('a run', () => {
  it('holds each layer on one peer, and nobody holds all of them', async () => {
    const room = await settled(4);
    await room.train(tinyConfig());
    const report = makeReport(finished(room));
    assert.equal(report.steps.length, 20);
    assert.deepEqual(report.peers.flatMap((peer) => peer.blocks.flatMap((block) => block.layers)).sort(), [
      'dense_1',
      'dense_2',
      'dense_3',
      'dense_4',
    ]);
    for (const peer of room.peers) assert.equal(peer.device.layersHeldMax, 1);
    assert.deepEqual(report.micro_batches, { whole: 20 * 4 * 4, partial: 0, skipped: 0 });
    room.close();
  });

  it('lets peers beyond the number of layers stand by', async () => {
    const room = await settled(6);
    await room.train(tinyConfig());
    const report = makeReport(finished(room));
    assert.equal(report.plan.stages.length, 4);
    assert.equal(report.plan.standby.length, 2);
    room.close();
  });

  it('gives a faster device more layers', async () => {
    const room = new SimRoom(2, { speeds: [1, 4] });
    assert.ok(await room.settle());
    await room.train(tinyConfig({ widths: [12, 12, 12, 12, 12, 12, 12], batch: 320, steps: 3 }));
    const { stages } = makeReport(finished(room)).plan;
    const layersHeld = (number: number) =>
      stages.find((stage) => stage.lanes[0] === room.peers[number - 1].id)!.layers.length;
    assert.ok(layersHeld(2) >= 2 * layersHeld(1), `${layersHeld(1)} and ${layersHeld(2)} layers`);
    room.close();
  });

  it('keeps at least three of four stages busy at once most of the time', async () => {
    const room = await settled(4);
    // Eight equal layers; wide micro-batches, so that computing outweighs the links.
    await room.train(
      tinyConfig({ widths: Array<number>(8).fill(12), batch: 8 * 1000, microBatches: 8, steps: 4 }),
    );
    finished(room);
    const work = room.peers.map((peer) => peer.swarm.spans().filter(isWork));
    const startMs = Math.min(...work.flat().map((span) => span.startMs));
    const endMs = Math.max(...work.flat().map((span) => span.endMs));
    let busy = 0;
    const ticks = 2000;
    for (let tick = 0; tick < ticks; tick++) {
      const at = startMs + ((endMs - startMs) * tick) / ticks;
      const working = work.filter((spans) =>
        spans.some((span) => span.startMs <= at && at < span.endMs),
      ).length;
      if (working >= 3) busy++;
    }
    assert.ok(busy / ticks >= 0.5, `three stages were busy ${(100 * busy) / ticks}% of the time`);
    room.close();
  });

  it('replays exactly: the same room gives the same run twice', async () => {
    const runs = [];
    for (let i = 0; i < 2; i++) {
      const room = await settled(3);
      await room.train(tinyConfig());
      runs.push(JSON.stringify(makeReport(finished(room))));
      room.close();
    }
    assert.equal(runs[0], runs[1]);
  });

  for (const [stages, lanes] of [
    [3, 1],
    [1, 3],
  ]) {
    it(`needs no server once training has begun, on ${stages} stages of ${lanes}`, async () => {
      const room = await settled(3);
      await room.start(tinyConfig({ steps: 200, partition: 'auto', grid: { stages, lanes } }));
      await reach(room, 0);
      room.origin.isUp = false;
      const { reads } = room.origin;
      await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'));
      assert.equal(finished(room).steps.length, 200);
      assert.equal(room.origin.reads, reads);
      const given = room.peers.some((peer) => peer.swarm.dataFetched.fromPeers > 0);
      assert.equal(given, lanes > 1, 'a lone reader has all chunks, several hand them to each other');
      room.close();
    });
  }

  it('needs none either where another peer has to read on', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 200, grid: { stages: 3, lanes: 1 } }));
    await reach(room, 10);
    room.origin.isUp = false;
    const { reads } = room.origin;
    const [reader] = recordOf(room).plan!.stages[0].lanes;
    room.kill(room.peers.findIndex(({ id }) => id === reader) + 1);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'));
    assert.equal(finished(room).lastStep!.step, 199);
    assert.equal(room.origin.reads, reads);
    assert.ok(room.on.some((peer) => peer.swarm.dataFetched.fromPeers > 0));
    room.close();
  });

  it('ends with the reason when the loss stops being a number', async () => {
    const room = await settled(2);
    await room.train(
      tinyConfig({
        steps: 300,
        activation: 'linear',
        optimizer: { kind: 'sgd', learningRate: 100, decay: 'constant' },
      }),
    );
    for (const peer of room.on) assert.equal(peer.swarm.record.phase, 'failed');
    assert.match(recordOf(room).message, /loss|finite|number/i);
    // The room is not spoilt: the next run works.
    await room.train(tinyConfig({ steps: 5 }));
    assert.equal(finished(room).steps.length, 5);
    room.close();
  });

  it('fails with a message, and without hanging, when the server has no data', async () => {
    const room = await settled(2);
    room.origin.isUp = false;
    await room.train(tinyConfig());
    assert.equal(recordOf(room).phase, 'failed');
    assert.match(
      recordOf(room)
        .events.map((event) => event.message)
        .join('\n'),
      /Could not read/,
    );
    room.close();
  });

  it('refuses a second run while one goes on', async () => {
    const room = await settled(2);
    await room.start(tinyConfig({ steps: 400 }));
    await assert.rejects(room.start(tinyConfig()), /going on already/);
    room.close();
  });

  it('stops when asked, and tests what there is', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 100_000 }));
    await reach(room, 50);
    room.peers[1].swarm.stop();
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'));
    const record = finished(room);
    assert.ok(record.final!.stoppedEarly);
    assert.equal(record.final!.metrics.samples, 700);
    room.close();
  });
});

describe('a peer that leaves', () => {
  for (const [role, number] of [
    ['the first stage', 0],
    ['a middle stage', 1],
    ['the last stage', 3],
  ] as const) {
    it(`${role}: noticed within 3 s, the rest goes on and says what is lost`, async () => {
      const room = await settled(4);
      await room.start(tinyConfig({ steps: 1000 }));
      await reach(room, 30);
      const killedMs = room.time.nowMs;
      const { plan, config } = recordOf(room);
      const stage = plan!.stages[number];
      const [lost] = layersOf(modelGraph(config!.model), stage);
      const victim = room.peers.findIndex(({ id }) => id === stage.lanes[0]) + 1;
      room.kill(victim);
      const says = () =>
        room.on.every((peer) => peer.swarm.record.events.some(({ type }) => type === 'peer-left'));
      assert.ok(await room.run(says));
      assert.ok(room.time.nowMs - killedMs < 3000, `noticed after ${room.time.nowMs - killedMs} ms`);
      await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
      const record = finished(room);
      assert.equal(record.lastStep!.step, 999);
      const paused = record.events.find((event) => event.type === 'paused')!;
      assert.match(paused.message, new RegExp(`peer ${victim} is gone.*${lost}.*lost`));
      assert.equal(makeReport(record).plan.stages.length, 3);
      const steps = record.steps.map((step) => step.step);
      assert.deepEqual(
        steps,
        [...steps].sort((a, b) => a - b),
        'step counters never go back',
      );
      room.close();
    });
  }

  it('waits for a person where the run asks for that, and goes on when told', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 500, onDeparture: 'ask' }));
    await reach(room, 10);
    const coordinator = recordOf(room).plan!.term.peer;
    const victim = room.peers.findIndex((peer) => peer.id !== coordinator) + 1;
    room.kill(victim);
    await room.run(() => /Go on/.test(recordOf(room).message), 10_000);
    const { step } = recordOf(room).lastStep!;
    await room.run(() => false, 30_000);
    assert.equal(recordOf(room).phase, 'paused');
    assert.equal(recordOf(room).lastStep!.step, step);
    room.on[1].swarm.goOn();
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assert.equal(finished(room).lastStep!.step, 499);
    room.close();
  });

  it('down to the last: it trains alone', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 3000 }));
    for (const number of [2, 1, 4]) {
      const next = (recordOf(room).lastStep?.step ?? 0) + 30;
      assert.ok(await reach(room, next), `step ${next} is reached: ${recordOf(room).message}`);
      room.kill(number);
    }
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 3_600_000);
    assert.equal(finished(room).lastStep!.step, 2999);
    assert.equal(room.on.length, 1);
    room.close();
  });

  it('the coordinator: another one is elected and the run goes on', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 1000 }));
    await reach(room, 20);
    const before = recordOf(room).plan!;
    const old = before.term;
    room.kill(room.peers.findIndex((peer) => peer.id === old.peer) + 1);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    const record = finished(room);
    assert.equal(record.lastStep!.step, 999);
    assert.ok(record.plan!.term.counter > old.counter);
    assert.equal(makeReport(record).coordinator.length, 2);
    const paused = record.events.find((event) => event.type === 'paused')!;
    const gone = layersOf(
      modelGraph(record.config!.model),
      before.stages.find((stage) => stage.lanes[0] === old.peer)!,
    );
    assert.deepEqual(paused.layers_lost, gone, 'the layers of those who live survive');
    room.close();
  });

  it('one that was only silent for some seconds loses nothing', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 600 }));
    await reach(room, 20);
    const coordinator = recordOf(room).plan!.term.peer;
    const sleeper = room.peers.findIndex((peer) => peer.id !== coordinator) + 1;
    room.freeze(sleeper, 4_000);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    const record = finished(room);
    assert.equal(record.lastStep!.step, 599);
    const types = record.events.map((event) => event.type);
    assert.ok(types.includes('peer-left') && types.includes('peer-back'), types.join());
    assert.deepEqual(record.events.find((event) => event.type === 'paused')!.layers_lost, []);
    assert.equal(makeReport(record).plan.stages.length, 4);
    room.close();
  });

  it('one that comes back while a person thinks about it brings its block along', async () => {
    const room = await settled(3);
    await room.start(tinyConfig({ steps: 300, onDeparture: 'ask' }));
    await reach(room, 20);
    const coordinator = recordOf(room).plan!.term.peer;
    const sleeper = room.peers.findIndex((peer) => peer.id !== coordinator) + 1;
    room.freeze(sleeper, 20_000);
    await room.run(() => /Go on/.test(recordOf(room).message), 15_000);
    await room.run(() => false, 20_000);
    room.on[0].swarm.goOn();
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assert.equal(makeReport(finished(room)).plan.stages.length, 3);
    assert.ok(!recordOf(room).plan!.sources.some(({ from }) => from === 'seed'), 'no layer starts over');
    room.close();
  });

  it('one that stands by: training does not pause', async () => {
    const room = await settled(5);
    await room.start(tinyConfig({ steps: 1000 }));
    await reach(room, 20);
    const standby = recordOf(room).plan!.standby[0];
    const coordinator = recordOf(room).plan!.term.peer;
    assert.notEqual(standby, coordinator);
    room.kill(room.peers.findIndex((peer) => peer.id === standby) + 1);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assert.equal(finished(room).plan!.version, 1);
    room.close();
  });

  it('while the others prepare: the plan is made anew without it', async () => {
    const room = await settled(3);
    const victim = room.peers.find((peer) => peer.id !== room.peers[0].swarm.snapshot().term!.peer)!;
    await room.start(tinyConfig({ steps: 20 }));
    await room.run(() => room.on.some((peer) => peer.swarm.record.phase === 'preparing'));
    room.kill(room.peers.indexOf(victim) + 1);
    await room.run(
      () => room.on.every((peer) => ['finished', 'failed'].includes(peer.swarm.record.phase)),
      600_000,
    );
    assert.equal(finished(room).steps.length, 20);
    room.close();
  });

  it('a link to the coordinator that breaks: the others go on, the one cut off says so and comes back', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 4000 }));
    await reach(room, 20);
    const coordinator = recordOf(room).plan!.term.peer;
    const cutOff = room.peers.find((peer) => peer.id !== coordinator)!;
    room.network.cut(coordinator, cutOff.id);
    assert.ok(await room.run(() => /no link to the coordinator/.test(cutOff.swarm.record.message), 5_000));
    assert.ok(
      await room.run(() => recordOf(room).plan!.version > 1 && recordOf(room).phase === 'training', 20_000),
    );
    room.network.mend(coordinator, cutOff.id);
    assert.ok(await room.run(() => cutOff.swarm.record.phase === 'training', 5_000));
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assert.equal(finished(room).lastStep!.step, 3999);
    room.close();
  });

  it('a link between neighbours that breaks: training goes on without using it', async () => {
    const room = await settled(4);
    await room.start(tinyConfig({ steps: 2000 }));
    await reach(room, 20);
    const coordinator = recordOf(room).plan!.term.peer;
    const order = recordOf(room).plan!.stages.map((stage) => stage.lanes[0]);
    const at = order.findIndex((peer, i) => i > 0 && peer !== coordinator && order[i - 1] !== coordinator);
    const [a, b] = [order[at - 1], order[at]];
    room.network.cut(a, b);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assert.equal(finished(room).lastStep!.step, 1999);
    room.close();
  });
});

describe('a late joiner', () => {
  it('sees the run that goes on', async () => {
    const room = await settled(2);
    await room.start(tinyConfig({ steps: 3000 }));
    await reach(room, 10);
    const late = room.add();
    await room.run(() => (late.swarm.record.lastStep?.step ?? 0) > 20, 20_000);
    assert.equal(late.swarm.record.phase, 'training');
    assert.equal(late.swarm.snapshot().run.plan?.version, 1);
    room.close();
  });
});
