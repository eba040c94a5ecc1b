import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { FaultLink, type FrameKey } from '../../client/swarm/faults/fault-link.ts';
import { FaultsSchema, type LinkFaults } from '../../shared/schema/faults.ts';

const FRAMES = 40_000;
const keyOf = (i: number): FrameKey => ({
  kind: 'forward',
  step: i >> 3,
  micro: i & 7,
  boundary: 0,
  offset: 0,
  attempt: 0,
});

/** Which frames are lost, one every `everyMs`. */
function losses(faults: LinkFaults, seed = 1, everyMs = 1, from = 'a', to = 'b'): boolean[] {
  const link = new FaultLink(faults, seed, from, to);
  return Array.from({ length: FRAMES }, (_, i) => link.drops(keyOf(i), i * everyMs));
}

const share = (lost: readonly boolean[]) => lost.filter(Boolean).length / lost.length;
const meanRun = (lost: readonly boolean[]) =>
  lost.filter(Boolean).length / lost.filter((one, i) => one && !lost[i - 1]).length;
const near = (value: number, wanted: number) =>
  assert.ok(Math.abs(value - wanted) < 0.08 * wanted, `${value}, not ${wanted}`);

describe('faults that a run may ask for', () => {
  for (const [faults, possible] of [
    [{ drop: 0.3, burst: 5 }, true],
    [{ burst: 5 }, false],
    [{ drop: 0.9, burst: 2 }, false],
    [{ links: [{ between: ['a', 'b'], burst: 5 }] }, false],
  ] as const) {
    it(`${JSON.stringify(faults)}: ${possible ? 'taken' : 'refused'}`, () => {
      assert.equal(v.safeParse(FaultsSchema, faults).success, possible);
    });
  }
});

describe('what happens to frames on a link', () => {
  it('loses the share that was asked for, each by itself or in a row', () => {
    near(share(losses({ drop: 0.3 })), 0.3);
    near(meanRun(losses({ drop: 0.3 })), 1 / 0.7);
    near(share(losses({ drop: 0.3, burst: 10 })), 0.3);
    near(meanRun(losses({ drop: 0.3, burst: 10 })), 10);
    assert.equal(share(losses({})), 0);
    assert.equal(share(losses({ drop: 1 })), 1);
  });

  it('follows from the seed and the names, and differs by direction', () => {
    assert.deepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }));
    assert.notDeepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }, 2));
    assert.notDeepEqual(losses({ drop: 0.3 }), losses({ drop: 0.3 }, 1, 1, 'b', 'a'));
    const link = new FaultLink({ drop: 0.5 }, 1, 'a', 'b');
    const attempts = Array.from({ length: 100 }, (_, attempt) => link.drops({ ...keyOf(0), attempt }, 0));
    near(share(attempts) + 0.5, 1);
  });

  it('is down for the share of the time that was asked for, both ways at once', () => {
    const outage = { share: 0.25, seconds: 2 };
    const there = losses({ outage }, 1, 100);
    near(share(there), 0.25);
    near(meanRun(there), 20);
    assert.deepEqual(there, losses({ outage }, 1, 100, 'b', 'a'));
  });
});
