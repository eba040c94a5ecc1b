import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { programOf } from '../../client/partition/exchange.ts';
import type { LaneProgram } from '../../client/partition/lane-program.ts';
import type { Partition } from '../../client/partition/partition.ts';
import { add, conv, dense, dropout, flatten, layerNorm, model, softmax } from '../support/specs.ts';
import { partitioned, spaceOf } from './cuts.ts';
import { BESIDE, CNN, MLP, RESIDUAL } from './models-by-hand.ts';
import { shares } from './walk.ts';

const byRows =
  (...layers: string[]) =>
  (layer: string) =>
    layers.includes(layer) ? ('rows' as const) : ('columns' as const);

/** Input, ops and output of each segment, registers by the positions that they hold. */
function shown(partition: Partition, stage: number, lane: number): string[] {
  const { segments, registers }: LaneProgram = programOf(partition, stage, lane);
  const nameOf = (register: number | null) => (register === null ? '-' : registers[register].held.join('-'));
  return segments.map(({ input, ops, output }) => {
    const inside = ops
      .map(({ layer, op, output: target }) => `${layer}.${op.kind} ${nameOf(target)}`)
      .join(', ');
    return `${nameOf(input)} | ${inside} | ${nameOf(output)}`;
  });
}

describe('the program of a lane', () => {
  it('has its slice of every layer, and nothing where it has no part', () => {
    const partition = partitioned(MLP, byRows('b', 'c'), [{ shares: [1, 3], owner: 1 }]);
    assert.deepEqual(shown(partition, 0, 0), [
      '0-6 | a.dense 0-2, a.bias 0-2, a.activation 0-2, b.dense 0-6 | 0-6',
      '0-2 | b.bias 0-2, b.activation 0-2, c.dense 0-3 | 0-3',
      '0-3 |  | -',
    ]);
    // The owner adds the bias to its summand.
    assert.deepEqual(shown(partition, 0, 1).slice(1), [
      '2-6 | b.bias 2-6, b.activation 2-6, c.dense 0-3, c.bias 0-3 | 0-3',
      '0-3 |  | -',
    ]);
  });

  it('of a lane without units is empty, and so is its part in sums', () => {
    const partition = partitioned(MLP, byRows('b', 'c'), [{ shares: [0, 1, 1], owner: 2 }]);
    assert.deepEqual(shown(partition, 0, 0), ['- |  | -', '- |  | -', '- |  | -']);
  });

  it('of an owner without units ends in the loss, which it tells of; the first lane with a summand adds the bias', () => {
    const partition = partitioned(MLP, byRows('b', 'c'), [{ shares: [0, 1, 1] }]);
    assert.deepEqual(shown(partition, 0, 0), ['- |  | -', '- |  | -', '0-3 |  | -']);
    assert.match(shown(partition, 0, 1)[1], /c.dense 0-3, c.bias 0-3 [|] 0-3$/);
    assert.match(shown(partition, 0, 2)[1], /c.dense 0-3 [|] 0-3$/);
  });

  it('takes in what a later segment reads, though it does nothing with it now', () => {
    const partition = partitioned(RESIDUAL, byRows('c', 'e'), [
      { shares: [1, 1], cuts: { [spaceOf(RESIDUAL, 'b')]: [0, 0, 4] } },
    ]);
    // Lane 0 has no channels of b, and so no summand of c, but its channels of d read what came for b.
    assert.deepEqual(shown(partition, 0, 0), [
      '0-3 | a.conv2d 0-2, a.bias 0-2 | 0-2',
      '0-4 |  | -',
      '0-2 | c.bias 0-2, d.conv2d 0-2, d.bias 0-2, s.add 0-2, n.batchNormalization 0-2, r.activation 0-2, ' +
        'g.globalAveragePooling2d 0-2, e.dense 0-3, e.bias 0-3 | 0-3',
      '0-3 |  | -',
    ]);
  });

  it('sends what it made before while others exchange, and works on beside an exchange that it has no part in', () => {
    const partition = partitioned(BESIDE, byRows('c', 'd'), [{ shares: [1, 1] }]);
    assert.deepEqual(shown(partition, 0, 1), [
      '0-6 | a.dense 4-8, a.bias 4-8 | 4-8',
      '- |  | 4-8',
      '0-8 | b.dense 3-6, b.bias 3-6, c.dense 0-8 | 0-8',
      '4-8 | c.bias 4-8 | -',
      '4-8 | s.add 4-8, o.dropout 4-8 | 4-8',
      '0-8 | m.softmax 0-8, d.narrow 4-8, d.dense 0-3 | 0-3',
      '0-3 |  | -',
    ]);
    const beside = model(
      [6],
      [
        dense('a', 8),
        layerNorm('n'),
        dense('b', 8, { inputs: ['input'] }),
        add('s', ['n', 'b']),
        dense('c', 3),
      ],
    );
    assert.deepEqual(shown(partitioned(beside, byRows('c'), [{ shares: [1, 1] }]), 0, 1), [
      '0-6 | a.dense 4-8, a.bias 4-8 | 4-8',
      '- | b.dense 4-8, b.bias 4-8 | -',
      '4-8 | s.add 4-8, c.dense 0-3 | 0-3',
      '0-3 |  | -',
    ]);
  });

  it('narrows a copy to its slice', () => {
    const spec = model([6], [dense('a', 8), softmax('s'), dense('b', 3)]);
    const partition = partitioned(spec, byRows('b'), [{ shares: [1, 3] }]);
    assert.deepEqual(shown(partition, 0, 1), [
      '0-6 | a.dense 2-8, a.bias 2-8 | 2-8',
      '0-8 | s.softmax 0-8, b.narrow 2-8, b.dense 0-3 | 0-3',
      '0-3 |  | -',
    ]);
  });

  it('leaves out copies that only others read: the loss has one lane', () => {
    const spec = model([6], [dense('a', 8), softmax('s'), dropout('o', 0.5), dense('b', 3)]);
    const partition = partitioned(spec, (layer) => (layer === 'b' ? 'owner' : 'columns'), [
      { shares: [1, 1] },
    ]);
    assert.deepEqual(shown(partition, 0, 1), ['0-6 | a.dense 4-8, a.bias 4-8 | 4-8', '- |  | -']);
    assert.equal(
      shown(partition, 0, 0)[1],
      '0-8 | s.softmax 0-8, o.dropout 0-8, b.dense 0-3, b.bias 0-3 | -',
    );
  });

  it('shares the operations of the model out: all lanes together do it once', () => {
    for (const [spec, rows] of [
      [MLP, ['b', 'c']],
      [CNN, ['b', 'e']],
      [RESIDUAL, ['c', 'e']],
    ] as const) {
      const whole = shares(partitioned(spec, byRows(...rows), [{ shares: [1, 2, 1] }]));
      assert.ok(Math.abs(whole - 1) < 1e-9, `${whole}`);
    }
  });
});

describe('importance is measured', () => {
  const measured = (partition: Partition, lane = 0): string[] =>
    partition.stages.flatMap((_, stage) =>
      programOf(partition, stage, lane).segments.flatMap(({ ops }) =>
        ops.filter(({ measures }) => measures).map(({ layer, op }) => `${layer}.${op.kind}`),
      ),
    );

  it('where other units are computed from a layer, once its values are complete', () => {
    assert.deepEqual(measured(partitioned(MLP, byRows('b', 'c'), [{ shares: [1, 1] }])), [
      'a.activation',
      'b.activation',
    ]);
    assert.deepEqual(
      measured(partitioned(MLP, () => 'owner', [{ until: 'b', shares: [1] }, { shares: [1] }])),
      ['a.activation', 'b.activation'],
    );
  });

  it('of channels after pooling and flattening, but not of inputs, classes, or what a reshape takes apart', () => {
    assert.deepEqual(measured(partitioned(CNN, byRows('b', 'e'), [{ shares: [1, 1] }])), [
      'p.maxPooling2d',
      'f.reshape',
      'd.activation',
    ]);
    const apart = model(
      [4, 4, 2],
      [conv('a', 3, 3), { kind: 'reshape', name: 'r', shape: [8, 6] }, flatten('f'), dense('d', 3)],
    );
    assert.deepEqual(measured(partitioned(apart, byRows('d'), [{ shares: [1, 1] }])), []);
  });
});
