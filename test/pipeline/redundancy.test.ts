import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { copiesOf, LossShare } from '../../client/pipeline/redundancy.ts';
import { randomUniform } from '../../shared/counter-random.ts';
import { LIMITS } from '../../shared/limits.ts';

const { lossWorthCopies, mediumPartBytes, mediumPartCopies, smallPartBytes, smallPartCopies } =
  LIMITS.pipeline;

describe('how often a part goes', () => {
  it('once where next to nothing is lost', () => {
    for (const bytes of [1, smallPartBytes, mediumPartBytes, 1e9])
      assert.equal(copiesOf(bytes, lossWorthCopies - 1e-9), 1);
  });

  it('the oftener the less it costs', () => {
    const copies = [smallPartBytes, smallPartBytes + 1, mediumPartBytes, mediumPartBytes + 1].map((bytes) =>
      copiesOf(bytes, lossWorthCopies),
    );
    assert.deepEqual(copies, [smallPartCopies, mediumPartCopies, mediumPartCopies, 1]);
  });
});

describe('the loss of a link', () => {
  it('is soon known', () => {
    const loss = new LossShare();
    let sum = 0;
    for (let part = 0; part < 400; part++) {
      loss.add(2, [0, 1].filter((frame) => randomUniform(1, 2 * part + frame) >= 0.3).length);
      if (part >= 50) sum += loss.share / 350;
    }
    assert.ok(Math.abs(sum - 0.3) < 0.03, `${sum}`);
  });

  it('is seen at the first frame, and forgotten when the link is well again', () => {
    const loss = new LossShare();
    loss.add(1, 0);
    assert.ok(loss.share > lossWorthCopies);
    for (let part = 0; part < 80; part++) loss.add(1, 1);
    assert.ok(loss.share < lossWorthCopies);
    loss.add(0, 0);
    assert.ok(loss.share < lossWorthCopies, 'what is not sent is not lost');
  });
});
