import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import { EmulatedCompute } from '../../client/engine/emulated.ts';
import type { BlockCost, BlockSpec, Compute } from '../../client/ports/compute.ts';
import { measureDevice } from '../../client/swarm/taking-part/measuring.ts';
import { FakeClock } from '../link/fake-clock.ts';

/** A device whose layers take so long, and the way in and out so long. */
const deviceOf = (layerMs: number, passageMs: number) =>
  ({
    profile: (blocks: BlockSpec[]) =>
      Promise.resolve(
        blocks.map(({ segments }) => {
          const ms = segments.every(({ ops }) => ops.length === 0) ? passageMs : layerMs;
          return { forwardMs: ms, backwardMs: 2 * ms, weightsMs: ms };
        }),
      ),
  }) as unknown as Compute;

describe('measuring a device', () => {
  it('takes the way in and out off what layers took', async () => {
    const { costs, taskMs } = await measureDevice(deviceOf(100, 2), runConfig());
    assert.equal(taskMs, 3, 'the mean of there and back');
    for (const { forwardMs, backwardMs } of costs) {
      assert.equal(forwardMs, 97);
      assert.equal(backwardMs, 197);
    }
  });

  it('measures the way thrice, so that other work which it meets once does not count', async () => {
    const config = runConfig();
    const half = config.model.layers.length >> 1;
    for (const disturbed of [
      [0, 1],
      [half + 2, half + 3],
      [-2, -1],
    ]) {
      const device = deviceOf(100, 2);
      const profile = device.profile.bind(device);
      device.profile = async (blocks) => {
        const costs = await profile(blocks);
        for (const i of disturbed)
          costs.splice(i, 1, { ...costs.at(i)!, forwardMs: 70 * (4 + i), backwardMs: 70 });
        return costs;
      };
      const { costs, taskMs, msPerNumber } = await measureDevice(device, config);
      assert.equal(taskMs, 3);
      assert.equal(msPerNumber, 0);
      assert.ok(costs.every(({ forwardMs }) => forwardMs === 97));
    }
  });

  it('tells what a lane takes of a layer whatever its share, by half of the largest one', async () => {
    const fixedOf = async (constant: number) => {
      const sizes: number[] = [];
      const device = {
        profile: (blocks: BlockSpec[]) =>
          Promise.resolve(
            blocks.map(({ registers, segments }) => {
              const { held, shape } = registers.at(-1)!;
              const share = segments[0].ops.length === 0 ? 0 : (held[1] - held[0]) / shape.units;
              if (share > 0) sizes.push(share);
              const ms = share > 0 ? constant + (1 - constant) * share : 0;
              return { forwardMs: 10 * ms, backwardMs: 20 * ms, weightsMs: 10 * ms };
            }),
          ),
      } as unknown as Compute;
      const { costs, fixedShare } = await measureDevice(device, runConfig());
      assert.ok(costs.every(({ forwardMs }) => Math.abs(forwardMs - 10) < 1e-9));
      assert.deepEqual(
        sizes.filter((share) => share < 1),
        [0.5],
      );
      return fixedShare;
    };
    for (const constant of [0, 0.1, 0.5]) assert.ok(Math.abs((await fixedOf(constant)) - constant) < 1e-9);
    assert.equal(await fixedOf(-0.3), 0, 'half of it was quicker than half');
    assert.equal(await fixedOf(1), 0.8, 'half of it took as long as the whole');
  });

  it('takes an emulated device by its operations, whatever the real one took meanwhile', async () => {
    for (const [layerMs, passageMs] of [
      [1, 40],
      [500, 3],
    ]) {
      const device = new EmulatedCompute(deviceOf(layerMs, passageMs), 300, new FakeClock());
      const { costs, fixedShare, taskMs, msPerNumber } = await measureDevice(device, runConfig());
      assert.deepEqual([taskMs, msPerNumber], [0, 0], 'the way in and out falls into that time');
      assert.ok(Math.abs(fixedShare) < 1e-9);
      const total = (pick: (cost: BlockCost) => number) => costs.reduce((sum, cost) => sum + pick(cost), 0);
      assert.ok(
        Math.abs(total(({ forwardMs }) => forwardMs) - 300) < 1,
        'all layers together: the whole model',
      );
      assert.ok(Math.abs(total(({ backwardMs }) => backwardMs) - 600) < 2);
    }
  });

  it('never finds that a device computes in no time, though the way there seemed to take longer', async () => {
    const { costs } = await measureDevice(deviceOf(5, 40), runConfig());
    for (const { forwardMs, backwardMs, weightsMs } of costs) {
      assert.equal(forwardMs, 0.5);
      assert.equal(backwardMs, 1);
      assert.ok(weightsMs > 0);
    }
  });
});
