import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RunRecord } from '../../client/swarm/record/record.ts';
import { planOf } from '../support/plans.ts';

const METRICS = { lossSum: 4, correct: 3, samples: 8 };

describe('steps that several heads tell of', () => {
  function recordOf(version: number): RunRecord {
    const record = new RunRecord();
    record.begin(1);
    record.plan = planOf([], 'p000000001', { version });
    return record;
  }
  const stepsOf = ({ steps }: RunRecord) => steps.map(({ step, t_ms }) => [step, t_ms]);

  it('count once, with the first word', () => {
    const record = recordOf(1);
    record.apply({ type: 'run-state', run: 1, phase: 'training', message: '', share: 0 } as never, 0);
    assert.deepEqual(
      [0, 0, 1, 0, 2, 1].map((step, i) => record.addStep(step, METRICS, 10 * i)),
      [true, false, true, false, true, false],
    );
    assert.deepEqual(stepsOf(record), [
      [0, 0],
      [1, 20],
      [2, 40],
    ]);
  });

  it('come again under another plan, and the later word counts', () => {
    const record = recordOf(1);
    for (const step of [0, 1, 2]) record.addStep(step, METRICS, 0);
    record.plan = planOf([], 'p000000001', { version: 2 });
    assert.ok(record.addStep(1, METRICS, 0));
    assert.ok(!record.addStep(1, METRICS, 0));
    assert.deepEqual(
      record.steps.map(({ step }) => step),
      [0, 1],
    );
  });
});
