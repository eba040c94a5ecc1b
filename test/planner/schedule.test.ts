import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { oneLaneStage } from '../../client/partition/stages.ts';
import { capsOfStages } from '../../client/planner/caps.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { rehearse } from '../../client/planner/rehearsal.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { dense, model as modelOf } from '../support/specs.ts';
import { idOf, linksOf, roomOf } from './rooms.ts';

const TASK_MS = 50;
const ONE_WAY_MS = 10;

/** S equal stages with F = B = W, links of 10 ms one way: what share of its time a stage is idle, from one step's end to the next. */
function idle(stages: number, microBatches: number, schedule: NonNullable<RunConfig['schedule']>) {
  const spec = modelOf(
    [64],
    Array.from({ length: stages }, (_, i) => dense(`d${i}`, 64, { useBias: false })),
  );
  const room = roomOf(
    { model: spec, microBatches, batch: 16 * microBatches, schedule },
    Array.from({ length: stages }, () => stages * TASK_MS),
  );
  for (const device of room.devices)
    device.layerCosts = device.layerCosts.map(({ forwardMs }) => ({
      forwardMs,
      backwardMs: 2 * forwardMs,
      weightsMs: forwardMs,
    }));
  const links = linksOf(stages, () => ({ rttMs: 2 * ONE_WAY_MS, goodput: 1e15 }));
  const problem = problemOf(room.config, room.devices, links, []);
  const partition = partitionOf(
    modelGraph(spec),
    Array.from({ length: stages }, (_, i) => oneLaneStage([i, i + 1], idOf(i))),
  );
  const workerOf = new Map(problem.workers.map(({ peer }, i) => [peer, i]));
  const { stepMs, stageMs } = rehearse(partition, problem, workerOf, { steps: 6, microBatches });
  for (const ms of stageMs) assert.ok(Math.abs(ms - 3 * TASK_MS * microBatches) < 1e-6, `${ms} ms of work`);
  return { share: 1 - (3 * TASK_MS * microBatches) / stepMs, caps: capsOfStages(problem, partition) };
}

const STAGES = [2, 3, 4, 5, 6, 7, 8];
const MICRO_BATCHES = [4, 8, 16, 32];

describe('a pipeline of equal stages', () => {
  for (const stages of STAGES) {
    it(`of ${stages} is idle no longer than theory has it for the split backward, by more than 4 points`, () => {
      for (const m of MICRO_BATCHES) {
        // ZB-H1, (S - 1) / (3 m + S - 1), where each hop also takes its way there and back.
        const fillMs = (stages - 1) * (TASK_MS + 2 * ONE_WAY_MS);
        // With fewer micro-batches than stages, one of them alone on its way to the loss and back takes longer than that.
        const aloneMs = 2 * stages * TASK_MS + 2 * (stages - 1) * ONE_WAY_MS + (2 * m - 1) * TASK_MS;
        const stepMs = Math.max(3 * TASK_MS * m + fillMs, m < stages ? aloneMs : 0);
        const theory = 1 - (3 * TASK_MS * m) / stepMs;
        const { share } = idle(stages, m, 'sync');
        assert.ok(share <= theory + 0.04, `m = ${m}: ${share} against ${theory}`);
      }
    });
  }

  it('of 4 with 16 micro-batches is idle for less than 8% in step, and 3% without a flush', () => {
    const sync = idle(4, 16, 'sync');
    assert.ok(sync.share <= 0.08, `${sync.share}`);
    const async = idle(4, 16, 'async');
    assert.ok(async.share <= 0.03, `${async.share}`);
  });

  it('keeps no more under way than S and the way there and back, and one, in step; S - s + 2 without a flush', () => {
    for (const stages of STAGES) {
      // As many as the way to the loss and back takes passes, and one to spare.
      const ahead = 1 + Math.ceil((2 * ONE_WAY_MS * (stages - 1)) / TASK_MS);
      for (const { kept, inFlight } of idle(stages, 32, 'sync').caps) {
        assert.ok(kept <= stages + ahead + 1 && inFlight <= kept, `${inFlight} and ${kept} of ${stages}`);
      }
      idle(stages, 32, 'async').caps.forEach(({ kept }, s) => assert.ok(kept <= stages - s + 2));
    }
  });
});
