import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { passagesBack, passagesOf } from '../../client/partition/exchange.ts';
import { partitionOf, type Partition } from '../../client/partition/partition.ts';
import type { ModelSpec } from '../../shared/model.ts';
import {
  activation,
  batchNorm,
  conv,
  dense,
  depthwiseConv,
  dropout,
  flatten,
  model,
  softmax,
} from '../support/specs.ts';
import { partitioned, shownBoundaries, shownSegments, stagesOf, type StageCut } from './cuts.ts';
import { BESIDE, CNN, MLP, RESIDUAL } from './models-by-hand.ts';
import { shownPassages } from './walk.ts';

const byRows =
  (...layers: string[]) =>
  (layer: string) =>
    layers.includes(layer) ? ('rows' as const) : ('columns' as const);

const cut = (spec: ModelSpec, rows: string[], ...cuts: StageCut[]): Partition =>
  partitioned(spec, byRows(...rows), cuts);

const partsOf = (partition: Partition): string[][] =>
  partition.boundaries.map(({ index }) => shownPassages(passagesOf(partition, index)));

describe('a pair of dense layers', () => {
  it('is one super neuron for each lane: columns, then rows, and one exchange', () => {
    const partition = cut(MLP, ['b', 'c'], { shares: [1, 3] });
    assert.deepEqual(shownSegments(partition), [
      '0: samples | a.dense slices, a.bias slices, a.activation slices, b.dense partial | partial',
      '0: slices | b.bias slices, b.activation slices, c.dense partial, c.bias partial | partial',
      '0: copies |  | loss',
    ]);
    assert.deepEqual(shownBoundaries(partition), [
      'reduce b.dense partial to slices inside',
      'reduce c.bias partial to copies inside',
    ]);
    assert.deepEqual(partsOf(partition), [
      ['0>0 0-2', '0>1 2-6', '1>0 0-2', '1>1 2-6'],
      ['0>0 0-3', '0>1 0-3', '1>0 0-3', '1>1 0-3'],
    ]);
  });

  it('may be cut in the middle: slices go to the lanes that have them there, whatever the cuts on both sides', () => {
    const partition = cut(
      MLP,
      ['b', 'c'],
      { until: 'c', shares: [1, 3] },
      { shares: [1, 1, 1], entering: 'slices' },
    );
    assert.deepEqual(shownBoundaries(partition), [
      'reduce b.dense partial to slices inside',
      'slice b.activation slices to slices between',
      'reduce c.bias partial to copies inside',
    ]);
    assert.deepEqual(partsOf(partition)[1], ['0>0 0-2', '1>1 2-4', '1>2 4-6']);
  });

  it('may have its sum completed by the next stage', () => {
    const stages = stagesOf(MLP, byRows('b', 'c'), [{ until: 'c', shares: [1, 1] }, { shares: [2, 1] }]);
    const beyond = [...stages[0].splits.splice(4)];
    stages[0].nodes = [0, 4];
    stages[1].nodes = [4, 8];
    stages[1].splits.unshift(...beyond);
    stages[1].slicings = [{ space: modelGraph(MLP).nodes[4].output.space, cuts: [0, 4, 6] }];
    const partition = partitionOf(modelGraph(MLP), stages);
    assert.equal(shownBoundaries(partition)[0], 'reduce b.dense partial to slices between');
    assert.deepEqual(partsOf(partition)[0], ['0>0 0-4', '0>1 4-6', '1>0 0-4', '1>1 4-6']);
  });

  it('leaves out a lane without units: it has no summand, and is sent nothing', () => {
    const partition = cut(MLP, ['b', 'c'], { shares: [0, 1, 1], owner: 1 });
    assert.deepEqual(partsOf(partition), [
      ['1>1 0-3', '1>2 3-6', '2>1 0-3', '2>2 3-6'],
      ['1>1 0-3', '1>2 0-3', '2>1 0-3', '2>2 0-3'],
    ]);
  });
});

describe('convolutions', () => {
  it('are cut by channels; pooling, bias and activation follow, flattening too', () => {
    const partition = cut(
      CNN,
      ['d'],
      { until: 'f', shares: [1, 1] },
      { shares: [2, 1], entering: 'slices', owner: 1 },
    );
    assert.deepEqual(shownSegments(partition), [
      '0: samples | a.conv2d slices, a.bias slices, a.activation slices, p.maxPooling2d slices | slices',
      '0: copies | b.conv2d slices, b.bias slices, b.activation slices | slices',
      '1: slices | f.reshape slices, d.dense partial | partial',
      '1: slices | d.bias slices, d.activation slices | slices',
      '1: copies | e.dense slices | slices',
      '1: owner | e.bias owner | loss',
    ]);
    assert.deepEqual(shownBoundaries(partition), [
      'gather p.maxPooling2d slices to copies inside',
      'slice b.activation slices to slices between',
      'reduce d.dense partial to slices inside',
      'gather d.activation slices to copies inside',
      'gather e.dense slices to owner inside',
    ]);
    assert.deepEqual(partsOf(partition), [
      ['0>0 0-2', '0>1 0-2', '1>0 2-4', '1>1 2-4'],
      ['0>0 0-3', '1>0 3-4', '1>1 4-6'],
      ['0>0 0-3', '0>1 3-5', '1>0 0-3', '1>1 3-5'],
      ['0>0 0-3', '0>1 0-3', '1>0 3-5', '1>1 3-5'],
      ['0>1 0-2', '1>1 2-3'],
    ]);
  });

  it('keep batch normalization with its channels, in an image and flattened, and depthwise convolutions', () => {
    const spec = model(
      [6, 6, 2],
      [
        conv('a', 4, 3),
        batchNorm('n'),
        depthwiseConv('w', 2, 3),
        activation('t', 'tanh'),
        dropout('o', 0.5),
        flatten('f'),
        batchNorm('m'),
        dense('e', 3),
      ],
    );
    const partition = cut(spec, ['e'], { shares: [1, 1] });
    assert.equal(partition.segments.length, 2);
    assert.deepEqual(shownBoundaries(partition), ['reduce e.bias partial to copies inside']);
  });

  it('exchange twice for a residual connection: before the block, and before the addition', () => {
    const partition = cut(RESIDUAL, ['c', 'e'], { shares: [1, 1] });
    assert.deepEqual(shownSegments(partition), [
      '0: samples | a.conv2d slices, a.bias slices | slices',
      '0: copies | b.conv2d slices, b.bias slices, b.activation slices, c.conv2d partial | partial',
      '0: slices | c.bias slices, d.conv2d slices, d.bias slices, s.add slices, n.batchNormalization slices, ' +
        'r.activation slices, g.globalAveragePooling2d slices, e.dense partial, e.bias partial | partial',
      '0: copies |  | loss',
    ]);
    assert.deepEqual(shownBoundaries(partition), [
      'gather a.bias slices to copies inside',
      'reduce c.conv2d partial to slices inside',
      'reduce e.bias partial to copies inside',
    ]);
  });
});

describe('the loss', () => {
  const shares = { shares: [1, 1, 1], owner: 1 };

  it('is made by every lane for itself where its scores are sums: gradients of them pass no link', () => {
    const partition = cut(MLP, ['b', 'c'], shares);
    const { boundaries } = partition;
    assert.deepEqual(
      boundaries.map(({ isOneWay }) => isOneWay),
      [false, true],
    );
    assert.deepEqual(shownPassages(passagesBack(partition, 1)), ['0>0 0-3', '1>1 0-3', '2>2 0-3']);
    assert.deepEqual(passagesBack(partition, 0), passagesOf(partition, 0));
  });

  it('is so made where the scores are changed before it, unit by unit, by what has no parameters', () => {
    const spec = model(
      [6],
      [dense('a', 8), dense('b', 3, { useBias: false }), dropout('o', 0.5), flatten('f')],
    );
    assert.deepEqual(shownSegments(cut(spec, ['b'], shares)).slice(1), [
      '0: copies | o.dropout copies, f.reshape copies | loss',
    ]);
  });

  it('has one owner where they are complete at one lane, or change by parameters beyond a bias', () => {
    const spec = model([6], [dense('a', 8), dense('b', 3), batchNorm('n')]);
    const [, last] = shownSegments(cut(spec, ['b'], shares));
    assert.equal(last, '0: owner | b.bias owner, n.batchNormalization owner | loss');
    assert.equal(shownSegments(cut(MLP, ['b'], shares)).at(-1), '0: owner | c.bias owner | loss');
  });

  it('has one owner in a stage of one lane', () => {
    const partition = cut(MLP, ['b'], { until: 'c', shares: [1, 1] }, { shares: [1] });
    assert.equal(shownSegments(partition).at(-1), '1: owner | c.dense owner, c.bias owner | loss');
    assert.ok(partition.boundaries.every(({ isOneWay }) => !isOneWay));
  });
});

describe('layers across units', () => {
  it('are normalized by the owner where they have parameters, and computed on every copy where they have none', () => {
    const partition = cut(BESIDE, ['c', 'd'], { shares: [1, 1], owner: 1 });
    assert.deepEqual(shownSegments(partition), [
      '0: samples | a.dense slices, a.bias slices | slices',
      '0: owner | n.layerNormalization owner | slices',
      '0: copies | b.dense slices, b.bias slices, c.dense partial | partial',
      '0: slices | c.bias slices | owner',
      '0: slices | s.add slices, o.dropout slices | slices',
      '0: copies | m.softmax copies, d.dense partial, d.bias partial | partial',
      '0: copies |  | loss',
    ]);
    assert.deepEqual(shownBoundaries(partition), [
      'gather a.bias slices to owner inside',
      'gather a.bias slices to copies inside',
      'reduce c.dense partial to slices inside',
      'slice n.layerNormalization owner to slices inside',
      'gather o.dropout slices to copies inside',
      'reduce d.bias partial to copies inside',
    ]);
    assert.deepEqual(partsOf(partition).slice(0, 4), [
      ['0>1 0-4', '1>1 4-8'],
      ['0>0 0-4', '0>1 0-4', '1>0 4-8', '1>1 4-8'],
      ['0>0 0-4', '0>1 4-8', '1>0 0-4', '1>1 4-8'],
      ['1>0 0-4', '1>1 4-8'],
    ]);
  });

  const spec = model([6], [dense('a', 8), softmax('s'), dense('b', 3)]);

  it('are alike on every lane, so each lane of the next stage is served by one', () => {
    const partition = cut(spec, ['b'], { until: 'b', shares: [1, 1] }, { shares: [1, 1, 1] });
    assert.equal(shownBoundaries(partition)[1], 'slice s.softmax copies to slices between');
    assert.deepEqual(partsOf(partition)[1], ['0>0 0-3', '0>2 6-8', '1>1 3-6']);
  });

  it('leave lanes idle where there are fewer in the next stage', () => {
    const partition = cut(spec, ['b'], { until: 'b', shares: [1, 1, 1] }, { shares: [1, 1] });
    assert.deepEqual(partsOf(partition).slice(0, 2), [
      ['0>0 0-3', '0>1 0-3', '1>0 3-6', '1>1 3-6', '2>0 6-8', '2>1 6-8'],
      ['0>0 0-4', '1>1 4-8'],
    ]);
  });
});
