import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planBlock } from '../../client/engine/block-plan.ts';
import type { Activation, LayerSpec } from '../../shared/model.ts';
import { add, conv, dense, flatten, layerNorm, model, pool } from '../support/specs.ts';
import { blockOf, optimizer } from './support.ts';

/** Layer > layer: the second one's backward goes on through the derivative of the first. */
function throughs(layers: LayerSpec[]): string[] {
  const all = [...layers, flatten('flat'), dense('scores', 3)];
  const block = blockOf(model([6, 6, 2], all), optimizer('sgd'), { rows: 4 });
  const fused = planBlock(block).segments.flat();
  for (const { output, isDerived } of fused) {
    const isTaken = fused.some(({ inputs, through }) => through !== null && inputs[0] === output);
    assert.equal(isDerived, isTaken, 'a derivative is done once');
  }
  return fused.flatMap(({ ops, inputs, through }) => {
    const maker = fused.find(({ output }) => output === inputs[0]);
    return through ? [`${maker!.ops[0].layer} > ${ops[0].layer}: ${through}`] : [];
  });
}

const after = (activation: Activation) => conv('a', 4, 3, { activation });

describe('the derivative of an activation', () => {
  it('joins the backward of a product or a max pooling that reads it', () => {
    assert.deepEqual(throughs([after('relu'), conv('b', 4, 3)]), ['a > b: relu']);
    assert.deepEqual(throughs([after('relu'), pool('p', 'maxPooling2d')]), ['a > p: relu']);
    const mlp = [flatten('f'), dense('a', 4, { activation: 'relu' }), dense('b', 4, { activation: 'relu' })];
    assert.deepEqual(throughs([...mlp, dense('c', 4)]), ['a > b: relu', 'b > c: relu']);
  });

  it('stays with its layer where something else reads it', () => {
    assert.deepEqual(throughs([after('linear'), conv('b', 4, 3)]), []);
    assert.deepEqual(throughs([after('relu'), layerNorm('n')]), []);
    assert.deepEqual(throughs([after('relu'), pool('p', 'averagePooling2d')]), []);
    assert.deepEqual(throughs([after('relu'), conv('b', 4, 3), add('sum', ['b', 'a'])]), []);
  });

  it('stays with its layer where importance is measured by a gradient that it would change', () => {
    assert.deepEqual(throughs([after('tanh'), conv('b', 4, 3)]), []);
    // Measured behind the pooling, whose output other units are computed from.
    assert.deepEqual(throughs([after('tanh'), pool('p', 'maxPooling2d')]), ['a > p: tanh']);
  });
});
