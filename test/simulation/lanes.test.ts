import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeReport } from '../../client/swarm/record/report.ts';
import { modelGraph } from '../../client/model/graph.ts';
import type { Compute } from '../../client/ports/compute.ts';
import { decodeFrame } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { SimDevice } from './device.ts';
import { SimRoom, tinyConfig } from './sim-room.ts';

const GRIDS = [
  { stages: 1, lanes: 4 },
  { stages: 2, lanes: 2 },
  { stages: 2, lanes: 3 },
  { stages: 3, lanes: 2 },
];

const hybrid = (changes: Parameters<typeof tinyConfig>[0] = {}): RunConfig =>
  tinyConfig({ partition: 'auto', grid: { stages: 2, lanes: 2 }, ...changes });

/** What kinds of parts come in which format. */
function watchParts({ network }: SimRoom): Set<string> {
  const seen = new Set<string>();
  const deliver = network.deliver.bind(network);
  network.deliver = (from, to, channel, bytes, atMs) => {
    const frame = channel === 'data' ? decodeFrame(bytes) : null;
    if (frame && 'format' in frame) seen.add(`${frame.kind} ${frame.format}`);
    deliver(from, to, channel, bytes, atMs);
  };
  return seen;
}

const recordOf = (room: SimRoom) => room.on[0].swarm.record;

function assertBytes(boundary: Report['plan']['boundaries'][number]): void {
  assert.equal(boundary.forward_bytes, boundary.expected_bytes);
  assert.equal(boundary.backward_bytes, boundary.expected_backward_bytes);
}

function assertFinished(room: SimRoom): void {
  for (const peer of room.on) assert.equal(peer.swarm.record.phase, 'finished', peer.swarm.record.message);
}

describe('rooms with lanes', () => {
  for (const grid of GRIDS) {
    it(`${grid.stages} stages of ${grid.lanes} lanes: train, test, and send what the formula says`, async () => {
      const room = new SimRoom(grid.stages * grid.lanes);
      assert.ok(await room.settle());
      await room.train(hybrid({ grid }));
      assertFinished(room);
      const { plan, micro_batches: counts, peers, steps } = makeReport(recordOf(room));
      assert.equal(plan.stages.length, grid.stages);
      for (const stage of plan.stages) assert.equal(stage.lanes.length, grid.lanes);
      assert.deepEqual(counts, { whole: 20 * 4 * peers.length, partial: 0, skipped: 0 });
      assert.equal(steps.length, 20);
      assert.ok(plan.boundaries.length > 0);
      for (const boundary of plan.boundaries) assertBytes(boundary);
      // Every lane of the last stage makes the loss for itself: of its gradient nothing passes a link.
      assert.equal(plan.boundaries.at(-1)!.expected_backward_bytes, 0);
      room.close();
    });
  }

  for (const wire of ['float16', 'int8'] as const) {
    it(`in ${wire}: send what the formula says, and train as well as in float32`, async () => {
      const losses = await Promise.all(
        (['float32', wire] as const).map(async (format) => {
          const room = new SimRoom(4);
          const seen = watchParts(room);
          assert.ok(await room.settle());
          await room.train(hybrid({ steps: 40, wire: format }));
          assertFinished(room);
          const { plan, final, steps } = makeReport(recordOf(room));
          for (const boundary of plan.boundaries) assertBytes(boundary);
          for (const { swarm } of room.on) assert.equal(swarm.refusals.total, 0);
          assert.deepEqual([...seen].sort(), [
            `backward ${format}`,
            'evaluation float32',
            `forward ${format}`,
          ]);
          room.close();
          const bytes = plan.boundaries.reduce((sum, { expected_bytes }) => sum + expected_bytes, 0);
          return { bytes, first: steps[0].loss, last: final.test_loss };
        }),
      );
      const [exact, less] = losses;
      assert.ok(less.bytes < exact.bytes);
      const gain = exact.first - exact.last;
      assert.ok(gain > 0.1, `float32 learned little: ${gain}`);
      assert.ok(Math.abs(less.last - exact.last) < 0.02 * gain, `${less.last} against ${exact.last}`);
      assert.notEqual(less.last, exact.last);
    });
  }

  it('rounds where the plan finds that faster, in all parts of training', async () => {
    const room = new SimRoom(4);
    for (const { id: a } of room.peers)
      for (const { id: b } of room.peers) room.network.shape(a, b, { bytesPerMs: 20 });
    const seen = watchParts(room);
    assert.ok(await room.settle());
    await room.train(hybrid({ wire: 'auto', rule: 'deadline' }));
    assertFinished(room);
    const { plan } = makeReport(recordOf(room));
    assert.equal(plan.wire, 'int8');
    for (const boundary of plan.boundaries) assert.equal(boundary.forward_bytes, boundary.expected_bytes);
    assert.deepEqual([...seen].sort(), ['backward int8', 'evaluation float32', 'forward int8']);
    room.close();
  });

  it('measures which units matter', async () => {
    const room = new SimRoom(4);
    assert.ok(await room.settle());
    await room.train(hybrid());
    assertFinished(room);
    const { importance, plan } = makeReport(recordOf(room));
    const layers = importance.map(({ layer }) => layer);
    // Of those that lanes share out: who computes all of a layer has no units that could be others.
    const { spaces } = modelGraph(hybrid().model);
    const cut = plan.stages.flatMap(({ slicings }) => slicings.map(({ space }) => spaces[space]));
    const wanted = [...new Set(cut.filter(({ pinned }) => !pinned).map(({ layer }) => layer))];
    assert.deepEqual(layers.toSorted(), wanted.toSorted());
    assert.ok(wanted.length >= 2, wanted.join());
    for (const { scores } of importance) assert.ok(scores.every((score) => score > 0));
    room.close();
  });

  it('plans anew in the middle: orders by importance, loses nothing, and goes on where it was', async () => {
    const measured = new Map<SimDevice, number>();
    const room = new SimRoom(4, { wrap: (device) => countingProfiles(device, measured) });
    assert.ok(await room.settle());
    await room.start(hybrid({ steps: 60 }));
    await room.run(() => (recordOf(room).lastStep?.step ?? 0) >= 30);
    assert.deepEqual([...measured.values()], [1, 1, 1, 1]);
    room.on[1].swarm.replan();
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assertFinished(room);
    const record = recordOf(room);
    assert.equal(record.lastStep!.step, 59);
    assert.ok(record.plan!.version > 1);
    assert.ok(record.plan!.orders.length > 0, 'units have an order');
    const paused = record.events.find((event) => event.type === 'paused')!;
    assert.deepEqual(paused.layers_lost, []);
    assert.match(paused.message, /new plan/);
    assert.deepEqual([...measured.values()], [2, 2, 2, 2], 'every device was measured again');
    const { plan, events } = makeReport(record);
    const replanned = events.find((event) => event.type === 'replanned')!;
    assert.equal(replanned.step, paused.step);
    assert.equal(replanned.version, plan.version);
    const [, step, layers, best, ms] =
      /^Re-planned at step (\d+): units of (.*) are in order of importance, the most important ones at (.*); ([\d.]+) ms a step predicted, [\d.]+ ms by the plan before\.$/.exec(
        replanned.message,
      ) ?? assert.fail(replanned.message);
    assert.equal(Number(step), paused.step);
    assert.ok(layers.includes('dense_1'), layers);
    const first = plan.stages.map(({ lanes }) => room.peers.findIndex(({ id }) => id === lanes[0]) + 1);
    assert.equal(best, first.map((number) => `peer ${number}`).join(', '));
    assert.ok(Math.abs(Number(ms) / plan.predicted.step_ms - 1) < 0.05, ms);
    const parameters = await room.parameters();
    for (const [name, data] of parameters) assert.ok(data.every(Number.isFinite), `${name} is whole`);
    room.close();
  });

  it('a lane that dies takes only its own units along', async () => {
    const room = new SimRoom(4);
    assert.ok(await room.settle());
    await room.start(hybrid({ steps: 400 }));
    await room.run(() => (recordOf(room).lastStep?.step ?? 0) >= 30);
    const coordinator = recordOf(room).plan!.term.peer;
    const victim = recordOf(room).plan!.stages[0].lanes.find((peer) => peer !== coordinator)!;
    room.kill(room.peers.findIndex(({ id }) => id === victim) + 1);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assertFinished(room);
    const { message } = recordOf(room).events.find((event) => event.type === 'paused')!;
    assert.match(message, /Nobody else held \d+% of dense_1/);
    assert.equal(recordOf(room).lastStep!.step, 399);
    room.close();
  });

  it('a run from given weights begins with them, on every lane', async () => {
    const first = new SimRoom(1);
    assert.ok(await first.settle());
    await first.train(tinyConfig({ steps: 40 }));
    const { layers } = await collected(first);
    const measured = new Map<SimDevice, number>();
    const room = new SimRoom(4, { wrap: (device) => countingProfiles(device, measured) });
    assert.ok(await room.settle());
    let failure: unknown = null;
    room.on[2].swarm
      .start(hybrid({ steps: 40, optimizer: SLOW }), layers)
      .catch((error: unknown) => (failure = error));
    await room.run(
      () => failure !== null || room.on.every((peer) => peer.swarm.record.phase === 'finished'),
      600_000,
    );
    assert.equal(failure, null);
    assertFinished(room);
    const before = await first.parameters();
    for (const [name, data] of await room.parameters()) {
      const wanted = before.get(name)!;
      const most = Math.max(...data.map((x, i) => Math.abs(x - wanted[i])));
      assert.ok(most < 1e-3, `${name} is off by ${most}`);
    }
    assert.ok(recordOf(room).plan!.version > 1, 'planned anew once importance is known');
    const replanned = recordOf(room).events.filter((event) => event.type === 'replanned');
    assert.deepEqual(
      replanned.map((event) => event.step),
      [LIMITS.run.profilingSteps],
    );
    assert.deepEqual([...measured.values()], [1, 1, 1, 1], 'nobody asked for devices to be measured again');
    first.close();
    room.close();
  });

  it('says how many peers a grid needs', async () => {
    const room = new SimRoom(3);
    assert.ok(await room.settle());
    await assert.rejects(room.start(hybrid()), {
      message: 'The grid 2x2 needs 4 peers, but 3 are here: let 1 more join, or choose a smaller grid.',
    });
    assert.equal(recordOf(room).phase, 'idle', 'nothing was begun');
    await room.train(hybrid({ grid: { stages: 1, lanes: 3 } }));
    assertFinished(room);
    room.close();
  });

  it('says how much memory is missing where the model fits nowhere', async () => {
    const room = new SimRoom(4, { wrap: (device) => withMemory(device, 100_000) });
    assert.ok(await room.settle());
    await room.train(tinyConfig({ partition: 'auto', widths: [400, 400] }));
    for (const { swarm } of room.on) {
      const { phase, message, events } = swarm.record;
      assert.equal(phase, 'failed');
      const [, needed, had, missing] =
        /^The model needs ([\d.]+) MB of memory and the room has ([\d.]+) MB on 4 peers: ([\d.]+) MB are missing, .* Let more or larger devices join, choose a smaller model, or smaller micro-batches\.$/
          .exec(message)
          ?.map(Number) ?? assert.fail(message);
      assert.equal(had, 0.4);
      // 165,000 parameters or so, with sums of gradients: 1.3 MB, and some for activations.
      assert.ok(needed > 1.3 && needed < 2.6, message);
      assert.ok(missing >= needed - had - 0.1 && missing <= needed, message);
      assert.equal(events.at(-1)!.message, message, 'the report has it, too');
    }
    room.close();
  });

  it('makes no new plan where there is nothing to plan anew, and says why', async () => {
    const room = new SimRoom(4);
    assert.ok(await room.settle());
    const [{ swarm }] = room.on;
    const refusal = () => {
      try {
        swarm.replan();
        return '';
      } catch (error) {
        return (error as Error).message;
      }
    };
    assert.equal(refusal(), 'No new plan now. No run goes on.');
    await room.start(hybrid({ steps: 60 }));
    await room.run(() => swarm.record.phase === 'preparing');
    assert.match(refusal(), /^No new plan now\. A plan is being made already/);
    await room.run(() => (swarm.record.lastStep?.step ?? 0) >= 5);
    assert.equal(refusal(), '');
    await room.run(() => swarm.record.phase === 'paused');
    assert.match(refusal(), /^No new plan now\. Training is paused/);
    await room.run(() => swarm.record.phase === 'evaluating', 600_000);
    assert.match(refusal(), /^No new plan now\. Training is over/);
    await room.run(() => room.on.every((peer) => peer.swarm.record.phase === 'finished'), 600_000);
    assertFinished(room);
    assert.equal(refusal(), 'No new plan now. No run goes on.');
    assert.equal(recordOf(room).plan!.version, 2);
    room.close();
  });
});

/** So slow that weights hardly move. */
const SLOW = { kind: 'sgd', learningRate: 1e-6, decay: 'constant' } as const;

/** The device, with a budget for tensors. */
function withMemory(device: SimDevice, memoryBytes: number): Compute {
  return new Proxy<Compute>(device, {
    get: (_, key) => {
      if (key === 'device') return { ...device.device, memoryBytes };
      const value: unknown = Reflect.get(device, key);
      return typeof value === 'function' ? (value.bind(device) as unknown) : value;
    },
  });
}

/** The device; how often it was measured is counted. */
function countingProfiles(device: SimDevice, counts: Map<SimDevice, number>): Compute {
  const profile = device.profile.bind(device);
  device.profile = (blocks) => {
    counts.set(device, (counts.get(device) ?? 0) + 1);
    return profile(blocks);
  };
  return device;
}

async function collected(room: SimRoom) {
  const model = room.on[0].swarm.collectModel();
  let result: Awaited<typeof model> | null = null;
  void model.then((found) => (result = found));
  await room.run(() => result !== null);
  return result!;
}
