import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { planTag } from '../../client/pipeline/assignment.ts';
import { routeOf, takesDetours } from '../../client/pipeline/detours.ts';
import type { PartFrame } from '../../shared/frames.ts';
import { lanesStage, planOf } from '../support/plans.ts';

const config = runConfig({ model: 'mlp', rule: 'deadline' });
const { nodes } = modelGraph(config.model);
const cut = nodes.findIndex(({ layer }) => layer === 'dense_3');
const plan = planOf(
  [
    lanesStage(config.model, [0, cut], ['a', 'b'], [1, 1]),
    lanesStage(config.model, [cut, nodes.length], ['c', 'd', 'e'], [1, 1, 1]),
  ],
  'a',
);

const frameOf = (changes: Partial<PartFrame>): PartFrame => ({
  kind: 'forward',
  term: 1,
  version: plan.version,
  planTag: planTag(plan),
  step: 0,
  micro: 0,
  boundary: 1,
  lane: 1,
  rows: 1,
  columns: 1,
  offset: 0,
  count: 1,
  format: 'float32',
  payload: new Uint8Array(4),
  ...changes,
});

describe('the way of a frame that is passed on', () => {
  it('follows from the plan and the lanes in its header', () => {
    assert.deepEqual(routeOf(plan, config, frameOf({}), 2), { origin: 'b', to: 'e' });
    assert.deepEqual(routeOf(plan, config, frameOf({ kind: 'backward', lane: 2 }), 0), {
      origin: 'e',
      to: 'a',
    });
    assert.deepEqual(routeOf(plan, config, frameOf({ boundary: 0 }), 0), { origin: 'b', to: 'a' });
  });

  it('is none where the plan has no such lane or boundary, or is another', () => {
    assert.equal(routeOf(plan, config, frameOf({ version: 2 }), 0), 'part-other-plan');
    assert.equal(routeOf(plan, config, frameOf({ planTag: 1 }), 0), 'part-other-plan');
    assert.equal(routeOf(plan, config, frameOf({ boundary: 9 }), 0), 'part-wrong-boundary');
    assert.equal(routeOf(plan, config, frameOf({ lane: 2 }), 0), 'part-wrong-sender');
    assert.equal(routeOf(plan, config, frameOf({}), 3), 'part-wrong-sender');
    assert.equal(routeOf(plan, config, frameOf({ boundary: 0, lane: 1 }), 1), 'part-wrong-sender');
  });

  it('is taken only where parts go several times', () => {
    const { rule, ...unruled } = config;
    assert.ok(rule && takesDetours(config));
    assert.ok(!takesDetours({ ...config, copies: false }));
    assert.ok(!takesDetours({ ...config, rule: 'repair' }));
    assert.ok(!takesDetours(unruled));
  });
});
