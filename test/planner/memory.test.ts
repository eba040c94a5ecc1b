import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { cnn, mlp } from '../../client/model/models.ts';
import { resnet } from '../../client/model/resnet.ts';
import { programOf } from '../../client/partition/exchange.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { oneLaneStage } from '../../client/partition/stages.ts';
import { blockBytes } from '../../client/planner/memory.ts';
import { makePlan } from '../../client/planner/plan.ts';
import type { RunChoices } from '../../client/defaults.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { Grid, type GridOptions } from '../support/grid.ts';
import { byteBatch } from '../support/numbers.ts';
import { assertProperty } from '../support/property.ts';
import { trainingArbitrary } from '../support/random-training.ts';
import { dense, model as modelOf, softmax } from '../support/specs.ts';
import { requestOf } from './requests.ts';
import { roomOf } from './rooms.ts';

const ARRAYS = { sgd: 0, momentum: 1, adam: 2 };
const MB = 1e6;

/** What blocks may take by the planner, with one micro-batch in flight. */
function bounds({
  model,
  stages,
  optimizer,
  rows,
}: Pick<GridOptions, 'model' | 'stages' | 'optimizer' | 'rows'>): number[][] {
  const partition = partitionOf(modelGraph(model), stages);
  return stages.map(({ lanes }, stage) =>
    lanes.map((_, lane) => blockBytes(programOf(partition, stage, lane), ARRAYS[optimizer.kind], rows, 1)),
  );
}

/** And what they took, over two steps. */
async function peaks(options: GridOptions, classes: number): Promise<number[][]> {
  const grid = await Grid.open({ ...options, microBatches: 1 });
  for (const step of [0, 1]) {
    await grid.step([byteBatch(options.model.inputShape, classes, options.rows, step)], 0.01, step);
  }
  const bytes = await grid.peakBytes();
  grid.close();
  return bytes;
}

describe('memory', () => {
  it('of a block is never more than the planner thinks', async () => {
    const test = 'of a block is never more than the planner thinks';
    await assertProperty(
      { file: import.meta.url, test, seed: 3, runs: 120 },
      trainingArbitrary('kinked'),
      async (training) => {
        const bound = bounds(training);
        const peak = await peaks(training, training.classes);
        peak.forEach((lanes, stage) =>
          lanes.forEach((bytes, lane) =>
            assert.ok(
              bytes <= bound[stage][lane],
              `stage ${stage}, lane ${lane}: ${bytes} of ${bound[stage][lane]} bytes`,
            ),
          ),
        );
      },
    );
  });

  it('of a block is never more, either, where much is kept to measure importance alone', async () => {
    // The backward of a softmax reads what it made, not what it was given.
    const layers = Array.from({ length: 8 }, (_, i) => [dense(`dense_${i}`, 16), softmax(`softmax_${i}`)]);
    const model = modelOf([16], [...layers.flat(), dense('last', 3)]);
    const stages = [oneLaneStage([0, modelGraph(model).nodes.length], 'p000000001')];
    const optimizer = { kind: 'sgd', learningRate: 0.01, decay: 'constant' } as const;
    const options = { model, stages, optimizer, seed: 1, rows: 256, microBatches: 1 };
    const [[peak]] = await peaks(options, 3);
    const [[bound]] = bounds(options);
    assert.ok(peak <= bound, `${peak} of ${bound} bytes`);
  });

  const models: Record<string, ModelSpec> = { mlp: mlp(784, 10), cnn: cnn(28, 10), resnet: resnet(28, 10) };
  for (const [name, model] of Object.entries(models)) {
    it(`of ${name} is no less than 0.45 times what the planner thinks`, async () => {
      for (const grid of [
        { stages: 1, lanes: 1 },
        { stages: 2, lanes: 2 },
      ]) {
        const room = roomOf({ model, grid }, [100, 100, 100, 100]);
        const { stages } = makePlan(requestOf(room));
        const options: GridOptions = {
          model,
          stages,
          optimizer: room.config.optimizer,
          seed: 1,
          rows: 32,
          microBatches: 1,
        };
        const bound = bounds(options).flat();
        const peak = (await peaks(options, 10)).flat();
        const ratios = bound.map((bytes, i) => bytes / peak[i]);
        const shown = ratios.map((ratio) => ratio.toFixed(2)).join(' ');
        assert.ok(Math.min(...ratios) >= 1, shown);
        assert.ok(Math.max(...ratios) < 1 / 0.45, shown);
      }
    });
  }
});

describe('a room with little memory', () => {
  const plan = (choices: RunChoices, memoryMb: (number | null)[]) => {
    const room = roomOf(
      choices,
      memoryMb.map(() => 100),
    );
    memoryMb.forEach((mb, i) => (room.devices[i].memoryBytes = mb === null ? null : mb * MB));
    return makePlan(requestOf(room));
  };
  const widths = 'mlp:1000-1000-1000';
  const unitsOf = ({ slicings }: Stage): number[] => {
    const { cuts } = slicings.find((slicing) => slicing.cuts.at(-1) === 1000)!;
    return cuts.slice(1).map((cut, k) => cut - cuts[k]);
  };

  it('gives a lane with too little fewer units, and the others the more', () => {
    const grid = { stages: 1, lanes: 4 };
    const even = plan({ model: widths, grid }, [null, null, null, null]);
    const capped = plan({ model: widths, grid }, [null, 8, null, null]);
    const { lanes } = capped.stages[0];
    const small = lanes.indexOf('p000000001');
    assert.deepEqual(unitsOf(even.stages[0]), [250, 250, 250, 250]);
    assert.ok(unitsOf(capped.stages[0])[small] < 150, unitsOf(capped.stages[0]).join());
    assert.ok(unitsOf(capped.stages[0])[small] > 60, unitsOf(capped.stages[0]).join());
    assert.ok(capped.predicted.memoryBytes[0][small] <= 8 * MB);
  });

  it('is told how much is missing, and for what', () => {
    // 2,797,010 parameters with Adam: 45 MB, and some for activations.
    assert.throws(
      () => plan({ model: widths, partition: 'auto' }, [10, 10, 5]),
      (error: Error) => {
        const [, needed, had, missing] =
          /^The model needs (\d+) MB of memory and the room has (\d+) MB on 3 peers: (\d+) MB are missing, most of them \(\d+(?:\.\d)? MB\) for dense_\d/
            .exec(error.message)
            ?.map(Number) ?? [];
        assert.ok(needed > 45 && needed < 60, error.message);
        assert.equal(had, 25);
        assert.ok(missing >= needed - had && missing < 40, error.message);
        return true;
      },
    );
    assert.throws(
      () => plan({ model: widths }, [20]),
      /The model needs \d+ MB of memory and the room has 20 MB on 1 peer: \d+ MB are missing, for dense_1 to dense_4/,
    );
  });

  it('trains where one device alone could not', () => {
    const { stages } = plan({ model: widths }, [20, 20, 20, 20]);
    assert.ok(stages.flatMap(({ lanes }) => lanes).length >= 3);
  });
});
