import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cellsOf, FULL } from '../../client/cli/experiment/grid.ts';
import {
  accuracyAt,
  isOver,
  secondsTo,
  summariesOf,
  summaryOf,
  type Outcome,
  type Point,
} from '../../client/cli/experiment/outcome.ts';

const curve = (...points: [seconds: number, accuracy: number][]): Point[] =>
  points.map(([seconds, accuracy], step) => ({ seconds, step, accuracy }));

describe('the time to a target', () => {
  it('lies between two looks, by a straight line', () => {
    assert.equal(secondsTo({ target: 0.75, seconds: 90 }, curve([10, 0.25], [20, 0.5], [30, 1])), 25);
    assert.equal(secondsTo({ target: 0.9, seconds: 90 }, curve([10, 0.9])), 10);
  });

  it('does not count a look that was luck', () => {
    assert.equal(
      secondsTo(
        { target: 0.9, seconds: 90 },
        curve([10, 0.8], [20, 0.92], [30, 0.88], [40, 0.92], [50, 0.93]),
      ),
      35,
    );
  });

  it('is none where it was not reached, or too late', () => {
    assert.equal(secondsTo({ target: 0.9, seconds: 20 }, curve([10, 0.8], [30, 0.95])), null);
    assert.equal(secondsTo({ target: 0.9, seconds: 90 }, curve([10, 0.8], [20, 0.89])), null);
    assert.equal(secondsTo({ target: 0.9, seconds: 90 }, []), null);
  });
});

describe('the accuracy at a time', () => {
  it('lies on the curve, and stays where it ends', () => {
    const points = curve([10, 0.5], [20, 0.7]);
    assert.ok(Math.abs(accuracyAt(15, points) - 0.6) < 1e-12);
    assert.ok(Math.abs(accuracyAt(5, points) - 0.25) < 1e-12);
    assert.equal(accuracyAt(99, points), 0.7);
    assert.equal(accuracyAt(99, []), 0);
  });
});

describe('the end of a run', () => {
  const settings = { target: 0.9, seconds: 100, compareSeconds: 50 };
  const over = curve([10, 0.91], [20, 0.92]);

  it('comes with its time, or with the target and the time of comparison', () => {
    assert.equal(isOver(settings, 100, []), true);
    assert.equal(isOver(settings, 49, over), false);
    assert.equal(isOver(settings, 50, over), true);
    assert.equal(isOver(settings, 60, curve([10, 0.91], [20, 0.89])), false);
    assert.equal(isOver(settings, 60, curve([10, 0.91])), false);
  });
});

const [cell] = cellsOf(FULL);
const outcome = (changes: Partial<Outcome>): Outcome => ({
  id: cell.id,
  partition: cell.partition,
  rule: cell.rule,
  trouble: cell.trouble.name,
  seed: 1,
  shape: '2+2',
  curve: [],
  secondsToTarget: 40,
  accuracy: 0.9,
  stepsPerSecond: 3,
  ledger: { whole: 3, partial: 1, skipped: 0 },
  used: [
    { kind: 'gather', forward: 0.7, backward: 0.6 },
    { kind: 'reduce', forward: 0.8, backward: null },
  ],
  resentBytes: 0,
  busyProcessors: 1,
  finalAccuracy: 0.91,
  ...changes,
});

describe('the summary of a cell', () => {
  it('is the mean over seeds', () => {
    const summary = summaryOf([
      outcome({}),
      outcome({ secondsToTarget: 60, accuracy: 0.8, ledger: { whole: 0, partial: 2, skipped: 2 } }),
    ]);
    assert.equal(summary.secondsToTarget, 50);
    assert.ok(Math.abs(summary.accuracy - 0.85) < 1e-12);
    assert.deepEqual([summary.whole, summary.partial, summary.skipped], [3 / 8, 3 / 8, 2 / 8]);
    assert.deepEqual([summary.forwardUsed, summary.backwardUsed], [0.7, 0.6]);
  });

  it('gives no time where a seed did not reach the target', () => {
    const summary = summaryOf([outcome({}), outcome({ secondsToTarget: null })]);
    assert.equal(summary.secondsToTarget, null);
    assert.deepEqual([summary.reached, summary.runs], [1, 2]);
  });

  it('takes the runs that there are, and leaves out cells without any', () => {
    const cells = cellsOf({ ...FULL, seeds: 2 });
    const first = outcome({});
    const found = summariesOf(cells, new Map([[first.id, first]]));
    assert.deepEqual(
      found.map(({ runs, partition, trouble }) => [runs, partition, trouble]),
      [[1, cell.partition, cell.trouble.name]],
    );
  });
});
