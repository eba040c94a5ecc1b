import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import * as v from 'valibot';
import { modelGraph } from '../../client/model/graph.ts';
import { programOf } from '../../client/partition/exchange.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { CostModel, type Tail } from '../../client/planner/cost-model.ts';
import { candidates, type Kind } from '../../client/planner/candidates.ts';
import { laneBytes } from '../../client/planner/stage-memory.ts';
import { makePlan } from '../../client/planner/plan.ts';
import { predict, stagesOf } from '../../client/planner/predict.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { planComplaint } from '../../client/pipeline/assignment.ts';
import { capsOfStages } from '../../client/planner/caps.ts';
import { PlanSchema } from '../../shared/schema/plan.ts';
import { assertProperty } from '../support/property.ts';
import { modelArbitrary } from '../support/random-model.ts';
import { requestOf } from './requests.ts';
import { roomArbitrary } from './rooms.ts';

const anyRoom = modelArbitrary('kinked').chain((model) =>
  roomArbitrary(model, { peersMax: 9, mayBeTight: true, mayLackLinks: true }),
);

/** What the planner says where it finds nothing; anything else that it throws is a defect. */
const EXPLAINED = /MB are missing|needs peers that are linked/;

describe('every plan', () => {
  it('fits its model, its schema and its budgets', async () => {
    let made = 0;
    let refused = 0;
    const test = 'fits its model, its schema and its budgets';
    await assertProperty({ file: import.meta.url, test, seed: 11, runs: 400 }, anyRoom, (room) => {
      const request = requestOf(room);
      let plan;
      try {
        plan = makePlan(request);
      } catch (error) {
        assert.match((error as Error).message, EXPLAINED);
        refused++;
        return;
      }
      made++;
      assert.equal(planComplaint(plan, room.config), null);
      v.assert(PlanSchema, plan);
      const budgets = new Map(room.devices.map(({ peer, memoryBytes }) => [peer, memoryBytes ?? Infinity]));
      plan.stages.forEach(({ lanes }, stage) =>
        lanes.forEach((peer, lane) => {
          const bytes = plan.predicted.memoryBytes[stage][lane];
          assert.ok(
            bytes <= budgets.get(peer)!,
            `${peer} has ${budgets.get(peer)}, its block takes ${bytes}`,
          );
        }),
      );
      const partition = partitionOf(modelGraph(room.config.model), plan.stages);
      plan.stages.forEach(({ lanes }, stage) =>
        lanes.forEach((_, lane) => {
          const ops = programOf(partition, stage, lane).segments.flatMap((segment) => segment.ops);
          assert.ok(
            ops.some(({ parameters }) => parameters.length > 0),
            `stage ${stage}, lane ${lane} has nothing`,
          );
        }),
      );
      assert.ok(plan.predicted.stepMs > 0 && plan.predicted.stepMs < Infinity);
    });
    assert.ok(made > 250 && refused > 20, `${made} plans were made, ${refused} refused`);
  });
});

describe('what a plan costs', () => {
  const kinds: Kind[] = ['hybrid', 'vertical', 'horizontal', 'alone'];

  it('is the same to the search as to the partition that comes of it', async () => {
    const test = 'is the same to the search as to the partition that comes of it';
    const cases = fc.tuple(
      modelArbitrary('kinked').chain((model) =>
        roomArbitrary(model, { peersMax: 6, mayBeTight: true, mayLackLinks: false }),
      ),
      fc.constantFrom(...kinds),
    );
    let compared = 0;
    await assertProperty({ file: import.meta.url, test, seed: 12, runs: 300 }, cases, ([room, kind]) => {
      const problem = problemOf(room.config, room.devices, room.links, []);
      const model = new CostModel(problem);
      for (const tail of candidates(model, kind, null)) {
        compared++;
        const partition = partitionOf(problem.graph, stagesOf(problem, tail));
        const { memoryBytes, stageMs } = predict(problem, partition);
        let stage = 0;
        for (let at: Tail | null = tail; at; at = at.next, stage++) {
          const { layout, crew }: Tail = at;
          const inner = partition.boundaries.filter(
            ({ isInner, index }) => isInner && partition.segments[index].stage === stage,
          );
          assert.equal(layout.exchangeCount, inner.length, 'exchanges');
          const { kept } = capsOfStages(problem, partition)[stage];
          crew.lanes.forEach((_, lane) => {
            const bound = laneBytes(model.memoryOf(layout), crew, lane, kept);
            assert.ok(bound >= memoryBytes[stage][lane] * (1 - 1e-9), 'memory');
          });
          const busyMs = model.busyMsOf(layout, crew) * problem.microBatches;
          // Lanes that are idle between two exchanges have one task less.
          const tasksMs = 2 * problem.microBatches * (layout.exchangeCount + 1);
          assert.ok(
            busyMs >= stageMs[stage] - 1e-6 && busyMs <= stageMs[stage] + tasksMs,
            `${busyMs} against ${stageMs[stage]}`,
          );
          if (stage > 0) {
            const entering = partition.boundaries.find(
              ({ isInner, index }) => !isInner && partition.segments[index + 1].stage === stage,
            );
            assert.equal(entering?.to.layout, layout.entry, 'entry');
          }
        }
      }
    });
    assert.ok(compared > 100, `${compared} plans were compared`);
  });
});
