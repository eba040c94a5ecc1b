import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { importanceRows } from '../../client/app/importance-view.ts';
import { boxHeights, exchangesText, ribbons, sizesRem } from '../../client/app/plan-picture.ts';
import { runConfig } from '../../client/defaults.ts';
import { lanesStage, oneLaneStage, planOf } from '../support/plans.ts';

describe('the boxes of a stage', () => {
  const sizes = { stage: 20, lowest: 4 };

  it('are as high as their shares', () => {
    assert.deepEqual(boxHeights([0.5, 0.3, 0.2], sizes), [10, 6, 4]);
    assert.deepEqual(boxHeights([1], sizes), [20]);
  });

  it('stay as high as their text, and the others keep their proportion', () => {
    assert.deepEqual(boxHeights([5, 3, 0.2], sizes), [10, 6, 4]);
    // Making room for one may take it from the next.
    assert.deepEqual(boxHeights([0.79, 0.2, 0.01], sizes), [12, 4, 4]);
    assert.deepEqual(boxHeights([0, 0], sizes), [10, 10]);
    assert.deepEqual(boxHeights([1, 0, 0], sizes), [12, 4, 4]);
  });

  it('fit into the stage, however many there are', () => {
    for (let lanes = 1; lanes <= 16; lanes++) {
      const { stage, lowest } = sizesRem(lanes);
      const shares = Array.from({ length: lanes }, (_, i) => (i === 0 ? 1 : 0));
      const heights = boxHeights(shares, { stage, lowest });
      const total = heights.reduce((sum, height) => sum + height, 0);
      assert.ok(Math.abs(total - stage) < 1e-9, `${lanes} lanes take ${total} of ${stage}`);
    }
  });
});

describe('what crosses', () => {
  it('goes from the middle of a box to the middle of a box', () => {
    const flows = [
      { from: 0, to: 0, share: 0.75 },
      { from: 1, to: 0, share: 0.25 },
    ];
    assert.deepEqual(
      ribbons({ kind: 'gather', layer: 'a', flows }, [6, 2], [8]).map(({ path }) => path),
      ['M0 37.5 C50 37.5 50 50 100 50', 'M0 87.5 C50 87.5 50 50 100 50'],
    );
  });

  it('is counted by its kind', () => {
    const inner = (['reduce', 'gather', 'reduce'] as const).map((kind) => ({ kind, layer: 'a', flows: [] }));
    assert.equal(exchangesText(inner), '2 × reduce, gather');
  });
});

describe('the importance of what a peer has', () => {
  const config = runConfig();
  const [a, b, c] = ['paaaaaaaaa', 'pbbbbbbbbb', 'pccccccccc'];
  const stages = [lanesStage(config.model, [0, 5], [a, b], [1, 1]), oneLaneStage([5, 11], c)];
  const scores = Array.from({ length: 256 }, (_, unit) => (unit < 32 ? 7 : 1));

  it('is that of its units, by their order', () => {
    const measured = [
      { layer: 'dense_3', scores: new Array<number>(64).fill(1) },
      { layer: 'dense_1', scores },
    ];
    assert.deepEqual(importanceRows(planOf(stages, a), config, measured), [
      {
        layer: 'dense_1',
        lanes: [
          { peer: a, importance: (32 * 7 + 96) / 448, units: 0.5 },
          { peer: b, importance: 128 / 448, units: 0.5 },
        ],
      },
      { layer: 'dense_3', lanes: [{ peer: c, importance: 1, units: 1 }] },
    ]);
    const reversed = Array.from({ length: 256 }, (_, position) => 255 - position);
    const plan = planOf(stages, a, { orders: [{ space: 1, units: reversed }] });
    assert.equal(importanceRows(plan, config, measured)[0].lanes[0].importance, 128 / 448);
  });
});
