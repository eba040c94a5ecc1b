import type { ModelSpec } from '../../shared/model.ts';
import {
  activation,
  add,
  batchNorm,
  conv,
  dense,
  dropout,
  flatten,
  layerNorm,
  model,
  pool,
  softmax,
} from '../support/specs.ts';

/** Small models whose cuts can be checked by eye. */
export const MLP: ModelSpec = model(
  [6],
  [dense('a', 8, { activation: 'relu' }), dense('b', 6, { activation: 'relu' }), dense('c', 3)],
);

export const CNN: ModelSpec = model(
  [8, 8, 2],
  [
    conv('a', 4, 3, { activation: 'relu' }),
    pool('p', 'maxPooling2d'),
    conv('b', 6, 3, { activation: 'relu' }),
    flatten('f'),
    dense('d', 5, { activation: 'relu' }),
    dense('e', 3),
  ],
);

export const RESIDUAL: ModelSpec = model(
  [6, 6, 3],
  [
    conv('a', 4, 3),
    conv('b', 4, 3, { activation: 'relu' }),
    conv('c', 4, 3),
    conv('d', 4, 1, { inputs: ['a'] }),
    add('s', ['c', 'd']),
    batchNorm('n'),
    activation('r', 'relu'),
    { kind: 'globalAveragePooling2d', name: 'g' },
    dense('e', 3),
  ],
);

/** A layer normalization beside two dense layers. */
export const BESIDE: ModelSpec = model(
  [6],
  [
    dense('a', 8),
    layerNorm('n'),
    dense('b', 6, { inputs: ['a'] }),
    dense('c', 8),
    add('s', ['n', 'c']),
    dropout('o', 0.2),
    softmax('m'),
    dense('d', 3),
  ],
);
