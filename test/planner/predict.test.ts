import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { oneLaneStage } from '../../client/partition/stages.ts';
import { makePlan } from '../../client/planner/plan.ts';
import { paceOf, predictStep, STEPS_PLAYED } from '../../client/planner/predict.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { rehearse } from '../../client/planner/rehearsal.ts';
import { boundaryBytes } from '../../client/partition/traffic.ts';
import { partBytes, PART_HEADER_BYTES } from '../../shared/packets.ts';
import type { WireFormat } from '../../shared/wire.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { lanesStage } from '../support/plans.ts';
import { dense, model as modelOf } from '../support/specs.ts';
import { requestOf } from './requests.ts';
import { idOf, linksOf, roomOf, unevenRoom, type LinkShape, type Room } from './rooms.ts';

/** Four layers of equal size, 10 ms forward and 10 ms backward each on every device. */
const four: ModelSpec = modelOf(
  [64],
  ['a', 'b', 'c', 'd'].map((name) => dense(name, 64, { useBias: false })),
);

function roomOfFour(peers: number, microBatches: number, link: LinkShape = {}): Room {
  const room = roomOf(
    { model: four, microBatches, batch: 16 * microBatches },
    Array.from({ length: peers }, () => 40),
  );
  return { ...room, links: linksOf(peers, () => link) };
}

const NO_TIME: LinkShape = { rttMs: 0, goodput: 1e15 };

function stepMs({ config, devices, links }: Room, stages: Stage[]): number {
  return predictStep(partitionOf(modelGraph(config.model), stages), devices, links, config).stepMs;
}

const close = (actual: number, expected: number, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance * expected, `${actual} instead of ${expected}`);

/** One layer each. */
const pipeline = [0, 1, 2, 3].map((i) => oneLaneStage([i, i + 1], idOf(i)));

describe('the predicted step', () => {
  it('of one device is its tasks, one after the other', () => {
    const room = roomOfFour(1, 4);
    room.devices[0].taskMs = 3;
    close(stepMs(room, [oneLaneStage([0, 4], idOf(0))]), 4 * (40 + 40 + 2 * 3));
  });

  it('counts what goes into a device and out of it', () => {
    const room = roomOfFour(2, 1, NO_TIME);
    const halves = [oneLaneStage([0, 2], idOf(0)), oneLaneStage([2, 4], idOf(1))];
    const freeMs = stepMs(room, halves);
    for (const device of room.devices) device.msPerNumber = 0.001;
    // 16 rows of 64: samples in, activations out, in; at the loss nothing; gradients out, in; none of the samples.
    close(stepMs(room, halves), freeMs + 5 * 16 * 64 * 0.001);
  });

  it('of four equal stages has a bubble of three slots', () => {
    for (const m of [1, 2, 4, 8]) close(stepMs(roomOfFour(4, m, NO_TIME), pipeline), (m + 3) * 20);
  });

  it('has the links in it, there and back', () => {
    const { rttMs, goodput } = { rttMs: 30, goodput: 1e6 };
    // 16 rows of 64 numbers, in one frame.
    const hopMs = rttMs / 2 + (16 * 64 * 4 + PART_HEADER_BYTES) / (goodput / 1000);
    close(stepMs(roomOfFour(4, 1, { rttMs, goodput }), pipeline), 4 * 20 + 2 * 3 * hopMs);
  });

  it('counts sending and receiving as work where the processor computes, by what numbers cost it on their way into the device', () => {
    const bytes = 16 * 64 * 4 + PART_HEADER_BYTES;
    const room = roomOfFour(4, 1, { rttMs: 0, goodput: (bytes / 7) * 1000 });
    for (const device of room.devices) device.msPerNumber = 1e-4;
    room.devices[1].msPerNumber = 3e-4;
    const freeMs = stepMs(room, pipeline);
    const partMs = 12 * 1e-4 * bytes;
    // At either boundary it sends and receives.
    room.devices[1].onProcessor = true;
    close(stepMs(room, pipeline), freeMs + 4 * 3 * partMs);
    for (const device of room.devices) device.onProcessor = true;
    close(stepMs(room, pipeline), freeMs + (4 * 3 + 8) * partMs);
  });

  it('counts of each layer that lanes share a part for every lane', () => {
    const lanes = lanesStage(four, [0, 4], [0, 1, 2, 3].map(idOf), [1, 1, 1, 1]);
    lanes.splits[3] = 'owner';
    const room = roomOfFour(4, 1, NO_TIME);
    const freeMs = stepMs(room, [lanes]);
    const aloneMs = stepMs(room, pipeline);
    for (const device of room.devices) device.fixedShare = 0.2;
    // Three layers of 20 ms in quarters, and one whole.
    close(freeMs, 3 * 5 + 20);
    close(stepMs(room, [lanes]), 3 * (0.2 + 0.8 / 4) * 20 + 20);
    close(stepMs(room, pipeline), aloneMs);
  });

  it('is bound by what may be in flight where links are slow', () => {
    // Six hops of 500 ms take as long as 300 forward passes, but no more than eight beyond the 4 to 2 of the schedule may be under way.
    const of = (micros: number) => stepMs(roomOfFour(4, micros, { rttMs: 1000, goodput: 1e15 }), pipeline);
    const wayMs = 4 * 20 + 6 * 500;
    close(of(10), wayMs + 9 * 20);
    close(of(13), 2 * wayMs);
  });

  it('is bound by a link that cannot keep up', () => {
    const bytes = 16 * 64 * 4 + PART_HEADER_BYTES;
    const room = roomOfFour(2, 16, { rttMs: 0, goodput: (bytes / 100) * 1000 });
    const halves = [oneLaneStage([0, 2], idOf(0)), oneLaneStage([2, 4], idOf(1))];
    // Sixteen parts of 100 ms one after the other, and the way of the first there and of the last back.
    close(stepMs(room, halves), 16 * 100 + 20 + 20 + 20 + 100 + 20, 0.02);
  });

  it('of lanes is as much shorter as they are many, but for their exchanges', () => {
    const whole = [lanesStage(four, [0, 4], [0, 1, 2, 3].map(idOf), [1, 1, 1, 1])];
    // The last product ends the model, so it is the owner's: three layers in four parts, and one whole.
    whole[0].splits[3] = 'owner';
    const owner = 2 * 10;
    const shared = (2 * 30) / 4;
    close(stepMs(roomOfFour(4, 1, NO_TIME), whole), owner + shared);
    assert.ok(stepMs(roomOfFour(4, 1, { rttMs: 20, goodput: 1e9 }), whole) > owner + shared + 4 * 10);
  });

  it('is the same after ten steps, even where steps are not all alike', () => {
    for (const [seed, grid] of [
      [4, { stages: 2, lanes: 3 }],
      [4, { stages: 3, lanes: 2 }],
      [4, { stages: 1, lanes: 6 }],
      // Every other step is longer.
      [5, { stages: 2, lanes: 3 }],
    ] as const) {
      const { config, devices, links } = unevenRoom({ model: 'cnn', grid }, 6, seed);
      const { stages } = makePlan(requestOf({ config, devices, links }));
      const problem = problemOf(config, devices, links, []);
      const partition = partitionOf(problem.graph, stages);
      const of = (steps: number) => paceOf(problem, partition, steps).stepMs;
      close(of(12), of(STEPS_PLAYED), 1e-3);
    }
  });

  it('of many micro-batches is that of some, and so much more for each', () => {
    const { config, devices, links } = unevenRoom(
      { model: 'mlp', microBatches: 32, grid: { stages: 2, lanes: 2 } },
      4,
      9,
    );
    const { stages } = makePlan(requestOf({ config, devices, links }));
    const problem = problemOf(config, devices, links, []);
    const partition = partitionOf(problem.graph, stages);
    const workerOf = new Map(problem.workers.map(({ peer }, i) => [peer, i]));
    const played = rehearse(partition, problem, workerOf, { steps: 3, microBatches: 32 });
    const predicted = paceOf(problem, partition, 3);
    close(predicted.stepMs, played.stepMs, 0.02);
    predicted.stageMs.forEach((ms, stage) => close(ms, played.stageMs[stage]));
  });

  it('has no end where a part has no link', () => {
    const room = roomOfFour(4, 1);
    room.links = room.links.filter(({ a, b }) => !(a === idOf(1) && b === idOf(2)));
    assert.equal(stepMs(room, pipeline), Infinity);
  });
});

describe('bytes at a boundary, of d = 64 numbers, b = 16 rows, 4 bytes each', () => {
  const whole = 16 * 64 * 4;
  const bytesOf = (stages: Stage[], wire: WireFormat = 'float32') => {
    const partition = partitionOf(modelGraph(four), stages);
    return partition.boundaries.map(({ index }) => boundaryBytes(partition, index, 16, wire));
  };
  const lanes = (from: number, count: number) => Array.from({ length: count }, (_, i) => idOf(from + i));
  const ones = (count: number) => Array.from({ length: count }, () => 1);
  const tail = (from: number, peer: number) => oneLaneStage([from, 4], idOf(peer));

  it('are d b c with a header for each frame', () => {
    assert.equal(partBytes('float32', 16, 64), whole + PART_HEADER_BYTES);
    assert.equal(partBytes('float32', 1, 15 * 256), 15 * 1024 + PART_HEADER_BYTES);
    assert.equal(partBytes('float32', 1, 15 * 256 + 1), 15 * 1024 + 4 + 2 * PART_HEADER_BYTES);
  });

  it('are half in float16, and a quarter in int8 with a scale for each row of 128 numbers or more', () => {
    assert.equal(partBytes('float16', 16, 64), whole / 2 + PART_HEADER_BYTES);
    assert.equal(partBytes('float16', 15 * 512 + 1, 1), 15 * 1024 + 2 + 2 * PART_HEADER_BYTES);
    assert.equal(partBytes('int8', 16, 128), 16 * 128 + 16 * 4 + PART_HEADER_BYTES);
    assert.equal(
      partBytes('int8', 16, 64),
      whole / 4 + 8 * 4 + PART_HEADER_BYTES,
      'two rows of 64 share a scale',
    );
    // Two rows to a scale; the border between the frames, at 15,360, cuts one such group in two.
    assert.equal(partBytes('int8', 200, 100), 20_000 + (100 + 1) * 4 + 2 * PART_HEADER_BYTES);
    const stages = [lanesStage(four, [0, 2], lanes(0, 3), ones(3)), tail(2, 3)];
    assert.deepEqual(bytesOf(stages, 'float16'), [3 * (whole / 2 + PART_HEADER_BYTES)]);
    assert.deepEqual(bytesOf(stages, 'int8'), [3 * (whole / 4 + 8 * 4 + PART_HEADER_BYTES)]);
  });

  it('of a gather go to each lane that follows', () => {
    const stages = [
      lanesStage(four, [0, 1], lanes(0, 2), ones(2)),
      lanesStage(four, [1, 2], lanes(2, 3), ones(3)),
      tail(2, 5),
    ];
    const [gather, toOne] = bytesOf(stages);
    assert.equal(gather, 3 * whole + 2 * 3 * PART_HEADER_BYTES);
    assert.equal(toOne, whole + 3 * PART_HEADER_BYTES);
  });

  it('of sums go once for each lane before', () => {
    // Columns then rows: what is left are three summands of everything.
    const stages = [lanesStage(four, [0, 2], lanes(0, 3), ones(3)), tail(2, 3)];
    assert.deepEqual(bytesOf(stages), [3 * whole + 3 * PART_HEADER_BYTES]);
  });

  it('inside a stage leave out what stays where it is', () => {
    // Columns, rows, columns: the sums are completed at every lane.
    const stages = [lanesStage(four, [0, 3], lanes(0, 3), ones(3)), tail(3, 3)];
    const [inner] = bytesOf(stages);
    assert.equal(inner, 3 * 2 * whole + 3 * 2 * PART_HEADER_BYTES);
  });

  it('of slices go to those who have them: no factor for lanes', () => {
    const rows = lanesStage(four, [1, 2], lanes(2, 2), ones(2));
    rows.splits[0] = 'rows';
    rows.slicings = [{ space: modelGraph(four).nodes[1].input.space, cuts: [0, 32, 64] }];
    const stages = [lanesStage(four, [0, 1], lanes(0, 2), ones(2)), rows, tail(2, 4)];
    assert.equal(bytesOf(stages)[0], whole + 2 * PART_HEADER_BYTES);
  });
});
