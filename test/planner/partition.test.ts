import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { bestPartition } from '../../client/planner/partition.ts';
import { planVertical, type Device } from '../../client/planner/vertical.ts';

const cost = fc.double({ min: 0.01, max: 100, noNaN: true });
const costsOf = (stages: number, layers: number) =>
  fc.array(fc.array(cost, { minLength: layers, maxLength: layers }), {
    minLength: stages,
    maxLength: stages,
  });

const total = (values: number[]) => values.reduce((sum, value) => sum + value, 0);

/** Tries every way to cut. */
function bruteForce(costs: number[][], stage = 0, from = 0): number {
  const layers = costs[0].length;
  const left = costs.length - stage;
  if (left === 1) return total(costs[stage].slice(from));
  let best = Infinity;
  for (let end = from + 1; end <= layers - (left - 1); end++) {
    best = Math.min(best, Math.max(total(costs[stage].slice(from, end)), bruteForce(costs, stage + 1, end)));
  }
  return best;
}

function permutations<T>(items: T[], count: number): T[][] {
  if (count === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations(items.toSpliced(i, 1), count - 1).map((rest) => [item, ...rest]),
  );
}

describe('the best cut', () => {
  it('is as good as the best of all cuts', () => {
    const sizes = fc
      .integer({ min: 1, max: 7 })
      .chain((layers) => fc.integer({ min: 1, max: layers }).chain((stages) => costsOf(stages, layers)));
    fc.assert(
      fc.property(sizes, (costs) => {
        const { bottleneck, starts } = bestPartition(costs);
        assert.ok(Math.abs(bottleneck - bruteForce(costs)) < 1e-9);
        const ends = [...starts.slice(1), costs[0].length];
        const stageTimes = starts.map((start, s) => total(costs[s].slice(start, ends[s])));
        assert.ok(
          starts.every((start, s) => start < ends[s]),
          'every stage has a layer',
        );
        assert.ok(Math.abs(Math.max(...stageTimes) - bottleneck) < 1e-9);
      }),
      { seed: 4, numRuns: 300 },
    );
  });

  it('says so when there are more stages than layers', () => {
    assert.throws(() => bestPartition([[1], [1]]), /1 layers cannot fill 2 stages/);
  });
});

describe('the vertical plan', () => {
  const devicesOf = (speeds: number[], layers: number[]): Device[] =>
    speeds.map((speed, i) => ({ peer: `p00000000${i}`, layerMs: layers.map((work) => work / speed) }));
  const near = () => 1;

  it('has the bottleneck of the best order and cut, for up to seven peers', () => {
    const cases = fc.record({
      speeds: fc.array(fc.double({ min: 0.1, max: 10, noNaN: true }), { minLength: 1, maxLength: 5 }),
      layers: fc.array(cost, { minLength: 1, maxLength: 6 }),
    });
    fc.assert(
      fc.property(cases, ({ speeds, layers }) => {
        const devices = devicesOf(speeds, layers);
        const stages = Math.min(devices.length, layers.length);
        const best = Math.min(
          ...permutations(devices, stages).map((order) => bruteForce(order.map((device) => device.layerMs))),
        );
        const plan = planVertical(
          devices,
          layers.map(() => 100),
          near,
        );
        assert.ok(plan.bottleneckMs <= best * 1.0011, `${plan.bottleneckMs} against ${best}`);
        assert.equal(plan.order.length, stages);
      }),
      { seed: 6, numRuns: 150 },
    );
  });

  it('puts well linked peers next to each other when speed does not decide', () => {
    const devices = devicesOf([1, 1, 1], [1, 1, 1]);
    const apart = (a: string, b: string) => [a, b].sort().join() === 'p000000000,p000000001';
    const plan = planVertical(devices, [8, 8, 8], (from, to) => (apart(from, to) ? 50 : 1));
    assert.ok(
      !apart(plan.order[0], plan.order[1]) && !apart(plan.order[1], plan.order[2]),
      plan.order.join(),
    );
  });

  it('uses no pair without a link where another order exists', () => {
    const devices = devicesOf([1, 1, 1, 1], [1, 1, 1, 1]);
    const broken = (a: string, b: string) => [a, b].sort().join() === 'p000000001,p000000002';
    const plan = planVertical(devices, [8, 8, 8, 8], (from, to) => (broken(from, to) ? Infinity : 1));
    assert.ok(plan.trafficMs < Infinity, plan.order.join());
  });

  it('gives the same plan for the same room, whatever order it is listed in', () => {
    const devices = devicesOf([1, 2, 3, 4, 5, 6, 7, 8, 9], [5, 3, 2, 4, 1, 2, 3, 4, 5, 1, 1, 2]);
    const bytes = Array<number>(12).fill(10);
    const plan = planVertical(devices, bytes, near);
    assert.deepEqual(planVertical([...devices].reverse(), bytes, near), plan);
  });

  it('leaves the slowest out when there are more peers than layers', () => {
    const plan = planVertical(devicesOf([1, 5, 5], [1, 1]), [8, 8], near);
    assert.ok(!plan.order.includes('p000000000'));
  });
});
