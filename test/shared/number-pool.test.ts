import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LIMITS } from '../../shared/limits.ts';
import { releaseNumbers, takeNumbers, takeZeros } from '../../shared/number-pool.ts';

const { numbersPooledAlike, numbersPooledBytes, numbersPooledLeast: least } = LIMITS.pipeline;

describe('the pool of numbers', () => {
  it('gives an array again, to one only, and zeros where these are wanted', () => {
    const first = takeNumbers(least).fill(7);
    releaseNumbers(first);
    releaseNumbers(first);
    const second = takeNumbers(least);
    assert.equal(second, first);
    assert.notEqual(takeNumbers(least), first);
    releaseNumbers(second);
    const zeros = takeZeros(least);
    assert.equal(zeros, first);
    assert.ok(zeros.every((number) => number === 0));
    assert.ok(takeZeros(least).every((number) => number === 0));
  });

  it('keeps nothing small, no view of a part of a buffer, and nothing that was moved away', () => {
    const small = new Float32Array(least - 1);
    const view = new Float32Array(2 * least).subarray(0, least);
    const moved = new Float32Array(least);
    structuredClone(moved, { transfer: [moved.buffer] });
    for (const numbers of [small, view, moved]) {
      const { length } = numbers;
      releaseNumbers(numbers);
      assert.notEqual(takeNumbers(length), numbers);
    }
  });

  it('keeps only so many of one size', () => {
    const given = Array.from({ length: numbersPooledAlike + 5 }, () => new Float32Array(least + 1));
    given.forEach(releaseNumbers);
    const known = new Set<object>(given);
    const taken = given.map(() => takeNumbers(least + 1));
    assert.equal(taken.filter((numbers) => known.has(numbers)).length, numbersPooledAlike);
  });

  it('keeps no more than its limit, and makes room for the sizes of now', () => {
    const each = numbersPooledBytes / 4 / 4;
    const given = Array.from({ length: 6 }, () => new Float32Array(each));
    given.forEach(releaseNumbers);
    const known = new Set<object>(given);
    const taken = given.map(() => takeNumbers(each));
    const again = taken.filter((numbers) => known.has(numbers)).length;
    assert.ok(again >= 1 && again <= 4, `${again} of 6`);
    given.slice(0, 4).forEach(releaseNumbers);
    const other = new Float32Array(each + 1);
    releaseNumbers(other);
    assert.equal(takeNumbers(each + 1), other);
  });
});
