import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  copiesOf,
  LossShare,
  packetsAtOnce,
  waysAgain,
  type LossyLink,
} from '../../client/pipeline/redundancy.ts';
import { randomUniform } from '../../shared/counter-random.ts';
import { LIMITS } from '../../shared/limits.ts';

const { detours, lightParts, lossWorthCopies, mediumParts, smallParts } = LIMITS.pipeline;

/** A link on which what is lost is gone. */
const losing = (share: number, afterLoss = share): LossyLink => ({
  ...{ share, gone: share, afterLoss },
  isSlow: false,
});
/** The same where data goes slowly. */
const slowly = (share: number): LossyLink => ({ ...losing(share), isSlow: true });

describe('how often a part goes', () => {
  it('once where next to nothing is lost', () => {
    for (const bytes of [1, smallParts.bytes, mediumParts.bytes, 1e9])
      assert.equal(copiesOf(bytes, losing(lossWorthCopies - 1e-9)), 1);
  });

  it('the oftener the less it costs and the more is lost', () => {
    const sizes = [smallParts, lightParts, mediumParts].flatMap(({ bytes }) => [bytes, bytes + 1]);
    const copies = (link: LossyLink) => sizes.map((bytes) => copiesOf(bytes, link));
    assert.deepEqual(copies(losing(0.1)), [2, 2, 2, 2, 2, 1]);
    assert.deepEqual(copies(losing(0.2)), [3, 3, 3, 2, 2, 1]);
    assert.deepEqual(copies(losing(0.3)), [4, 4, 4, 2, 2, 1]);
    assert.deepEqual(copies(losing(1)), [4, 4, 4, 2, 2, 1]);
    assert.deepEqual(copies(slowly(0.1)), [2, 1, 1, 1, 1, 1]);
    assert.deepEqual(copies(slowly(0.3)), [4, 2, 2, 2, 2, 1]);
  });

  it('so that no more gets lost than may, and no oftener, within bounds', () => {
    for (let percent = 100 * lossWorthCopies; percent < 100; percent++) {
      const loss = percent / 100;
      const check = (copies: number, lossLeft: number, most: number) => {
        if (copies < most) assert.ok(loss ** copies <= lossLeft + 1e-9, `${copies} at ${loss}`);
        if (copies > 1) assert.ok(loss ** (copies - 1) > lossLeft, `${copies} at ${loss}`);
      };
      for (const { bytes, copies } of [smallParts, lightParts, mediumParts])
        check(copiesOf(bytes, losing(loss)), mediumParts.lossLeft, copies);
      check(copiesOf(mediumParts.bytes, slowly(loss)), mediumParts.lossLeftIfSlow, mediumParts.copies);
    }
  });

  it('once where it is large and its transport sends lost packets again by itself', () => {
    const late = { share: 0.3, gone: 0.02, afterLoss: 0.02, isSlow: false };
    assert.equal(copiesOf(mediumParts.bytes, late), 1);
    assert.equal(copiesOf(lightParts.bytes, late), 1);
    assert.equal(copiesOf(smallParts.bytes, late), 4);
  });

  it('and packet by packet as soon as any are lost', () => {
    assert.equal(packetsAtOnce(losing(lossWorthCopies - 1e-9)), LIMITS.link.framePackets);
    assert.equal(packetsAtOnce(losing(lossWorthCopies)), 1);
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

describe('losses in a row', () => {
  /** What is measured of a link that is down, and up again, for so many parts in turn. */
  function linkOf(downParts: number, upParts: number, share = 0): LossShare {
    const loss = new LossShare();
    for (let part = 0; part < 600; part++) {
      const isDown = part % (downParts + upParts) < downParts;
      loss.add(1, isDown || randomUniform(2, part) < share ? 0 : 1);
    }
    return loss;
  }

  it('are told from losses one by one, which say nothing of the next', () => {
    assert.ok(linkOf(40, 120).afterLoss > 0.8);
    const single = linkOf(0, 1, 0.3);
    assert.ok(Math.abs(single.afterLoss - 0.3) < 0.2, `${single.afterLoss}`);
    assert.equal(linkOf(0, 1).afterLoss, 0);
  });
});

describe('the ways of a part that goes again', () => {
  const { bytes: small } = smallParts;
  const { bytes: medium } = mediumParts;
  const good = [0.02, 0, 0.01].map((gone, i) => ({ peer: `good${i}`, gone }));
  const inRows = losing(0.3, 0.95);
  const oneByOne = losing(0.3);

  it('are straight where the link loses one by one as little as a way over two others', () => {
    const alike = [{ peer: 'other', gone: 0.3 }];
    assert.deepEqual(waysAgain('to', small, oneByOne, alike), ['to', 'to', 'to']);
    assert.deepEqual(waysAgain('to', medium, oneByOne, alike), ['to']);
    assert.deepEqual(waysAgain('to', medium + 1, oneByOne, alike), []);
    assert.deepEqual(waysAgain('to', small, inRows, []), ['to', 'to', 'to']);
  });

  it('lead first by the best of those that lose less, where one loss foretells the next', () => {
    assert.equal(detours, 2);
    assert.deepEqual(waysAgain('to', small, inRows, good), ['good1', 'good2', 'to']);
    assert.deepEqual(waysAgain('to', medium, inRows, good), ['good1', 'good2']);
    assert.deepEqual(waysAgain('to', medium + 1, inRows, good), ['good1']);
    const bad = [
      { peer: 'bad', gone: 0.8 },
      { peer: 'fair', gone: 0.5 },
    ];
    assert.deepEqual(waysAgain('to', medium, inRows, bad), ['fair']);
  });

  it('are straight where what is lost comes late: others could not bring it sooner', () => {
    const late = { share: 0.5, gone: 0.01, afterLoss: 0.6, isSlow: false };
    assert.deepEqual(waysAgain('to', small, late, good), ['to', 'to', 'to']);
    assert.deepEqual(waysAgain('to', medium, late, good), []);
  });

  it('are none where next to nothing is lost any more, whatever was lost once', () => {
    assert.deepEqual(waysAgain('to', small, losing(0.01, 0.95), good), []);
  });
});
