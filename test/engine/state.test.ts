import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Compute } from '../../client/ports/compute.ts';
import {
  batch,
  blockOf,
  layersIn,
  distance,
  mlp,
  newCompute,
  optimizer,
  parametersOf,
  readAll,
  through,
} from './support.ts';

const model = mlp([12, 10, 9, 4], 'sigmoid');

async function trainSteps(compute: Compute, from: number, to: number): Promise<void> {
  for (let step = from; step < to; step++) {
    for (let micro = 0; micro < 2; micro++)
      await through([compute], micro, batch(model, 6, step * 2 + micro));
    await compute.step({ counted: 2, learningRate: 0.02 });
  }
}

for (const kind of ['sgd', 'momentum', 'adam'] as const) {
  describe(`state with ${kind}`, () => {
    const block = blockOf(model, optimizer(kind));

    it('continues on another device to the very same numbers', async () => {
      const [first, second] = [newCompute(), newCompute()];
      await first.load(block, []);
      await trainSteps(first, 0, 5);
      const states = await readAll([first], layersIn(block));
      assert.deepEqual(
        states.map(({ updates }) => updates),
        [5, 5, 5],
      );
      await second.load(block, states);
      await trainSteps(first, 5, 10);
      await trainSteps(second, 5, 10);
      const [left, right] = [
        await readAll([first], layersIn(block)),
        await readAll([second], layersIn(block)),
      ];
      assert.equal(distance(parametersOf(right), parametersOf(left)), 0);
      assert.equal(
        distance(
          right.flatMap(({ optimizer: arrays }) => arrays),
          left.flatMap(({ optimizer: arrays }) => arrays),
        ),
        0,
      );
      first.close();
      second.close();
    });

    it('that was handed out or in stays as it was while training goes on', async () => {
      const compute = newCompute();
      await compute.load(block, []);
      await trainSteps(compute, 0, 1);
      const states = await readAll([compute], layersIn(block));
      const copy = structuredClone(states);
      await compute.load(block, states);
      await trainSteps(compute, 1, 3);
      assert.deepEqual(states, copy);
      compute.close();
    });

    it('is not touched by a step that counts nothing', async () => {
      const compute = newCompute();
      await compute.load(block, []);
      await trainSteps(compute, 0, 2);
      const before = await readAll([compute], layersIn(block));
      await compute.step({ counted: 0, learningRate: 0.02 });
      assert.deepEqual(await readAll([compute], layersIn(block)), before);
      compute.close();
    });
  });
}
