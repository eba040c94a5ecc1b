import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gridShortage } from '../client/grid.ts';

describe('a grid in a room that is too small', () => {
  it('says how many peers are missing, and what to do', () => {
    const cases: [stages: number, lanes: number, peers: number, words: string | null][] = [
      [2, 2, 4, null],
      [2, 2, 3, '2x2 needs 4 peers, but 3 are here: let 1 more join, or choose a smaller grid'],
      [4, 4, 1, '4x4 needs 16 peers, but 1 is here: let 15 more join, or choose a smaller grid'],
      [5, 4, 16, '5x4 needs 20 peers, but 16 are here and a room takes 16 at most: choose a smaller grid'],
    ];
    for (const [stages, lanes, peers, words] of cases)
      assert.equal(gridShortage({ stages, lanes }, peers), words);
    assert.equal(gridShortage(null, 1), null);
  });
});
