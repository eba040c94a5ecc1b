import assert from 'node:assert/strict';
import { it } from 'node:test';
import { glorotKernel, zeroBias } from '../../client/engine/init.ts';
import type { UnitRange } from '../../shared/model.ts';
import type { BlockLayer } from '../../client/ports/compute.ts';

const layer = (units: UnitRange, name = 'd'): BlockLayer => ({
  spec: { kind: 'dense', name, units: 40, activation: 'relu' },
  inputShape: [30],
  outputShape: [40],
  units,
});

it('gives a slice of units the numbers that they have in the whole', () => {
  const whole = glorotKernel(5, layer([0, 40]));
  for (const [start, end] of [
    [0, 13],
    [13, 14],
    [14, 40],
  ] as UnitRange[]) {
    const slice = glorotKernel(5, layer([start, end]));
    assert.deepEqual(slice.shape, [30, end - start]);
    for (let input = 0; input < 30; input++) {
      const row = slice.data.subarray(input * (end - start), (input + 1) * (end - start));
      assert.deepEqual(row, whole.data.subarray(input * 40 + start, input * 40 + end));
    }
    assert.deepEqual(zeroBias(layer([start, end])).data, new Float32Array(end - start));
  }
});

it("fills Glorot's range evenly, differently for each seed and layer", () => {
  const { data } = glorotKernel(5, layer([0, 40]));
  const limit = Math.sqrt(6 / 70);
  assert.ok(data.every((value) => Math.abs(value) <= limit));
  const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
  const variance = data.reduce((sum, value) => sum + value * value, 0) / data.length;
  assert.ok(Math.abs(mean) < 0.02 * limit * 3);
  assert.ok(Math.abs(variance / (limit ** 2 / 3) - 1) < 0.1);
  assert.notDeepEqual(glorotKernel(6, layer([0, 40])).data, data);
  assert.notDeepEqual(glorotKernel(5, layer([0, 40], 'e')).data, data);
});
