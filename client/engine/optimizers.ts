import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { OptimizerConfig } from '../../shared/model.ts';
import type { ElementwiseProgram } from './kernels/elementwise.ts';
import type { Kernels } from './kernels/index.ts';

/** What an update needs besides arrays. */
export interface UpdateContext {
  kernels: Kernels;
  learningRate: number;
  /** The gradient is this times the gradient sum. */
  scale: number;
  /** Updates applied before this one. */
  updates: number;
}

/** A tile of a parameter with the optimizer's arrays of the same shape, in the order of `Optimizer.state`. */
export interface Slot {
  value: Tensor2D;
  state: Tensor2D[];
}

/** An optimizer as a function on one tile after another. */
export interface Optimizer {
  /** Names of its arrays per parameter, as they appear after the colon in `NamedArray.name`. */
  readonly state: readonly string[];
  /** Replaces the arrays in `slot`; consumes `sum`. Holds one transient of the tile's size at most. */
  update(slot: Slot, sum: Tensor2D, context: UpdateContext): void;
}

const MOMENTUM = 0.9;
const BETA1 = 0.9;
const BETA2 = 0.999;
/** tfjs's default for 32-bit backends. */
const EPSILON = 1e-7;

const descend: ElementwiseProgram = {
  inputs: ['w', 'g'],
  uniforms: ['rate', 'scale'],
  glsl: 'w - rate * (scale * g)',
  cpu: ([w, g], [rate, scale]) => {
    for (let i = 0; i < w.length; i++) w[i] -= rate * (scale * g[i]);
  },
};

/** decay * a + factor * (scale * g): momentum's accumulator, Adam's first moment. */
const average: ElementwiseProgram = {
  inputs: ['a', 'g'],
  uniforms: ['decay', 'factor', 'scale'],
  glsl: 'decay * a + factor * (scale * g)',
  cpu: ([a, g], [decay, factor, scale]) => {
    for (let i = 0; i < a.length; i++) a[i] = decay * a[i] + factor * (scale * g[i]);
  },
};

const averageOfSquares: ElementwiseProgram = {
  inputs: ['a', 'g'],
  uniforms: ['decay', 'factor', 'scale'],
  glsl: 'decay * a + factor * (scale * g) * (scale * g)',
  cpu: ([a, g], [decay, factor, scale]) => {
    for (let i = 0; i < a.length; i++) a[i] = decay * a[i] + factor * (scale * g[i]) ** 2;
  },
};

const adamDescend: ElementwiseProgram = {
  inputs: ['w', 'm', 'v'],
  uniforms: ['rate', 'correction1', 'correction2', 'epsilon'],
  glsl: 'w - rate * (m / correction1) / (sqrt(v / correction2) + epsilon)',
  cpu: ([w, m, v], [rate, correction1, correction2, epsilon]) => {
    for (let i = 0; i < w.length; i++) {
      w[i] -= (rate * (m[i] / correction1)) / (Math.sqrt(v[i] / correction2) + epsilon);
    }
  },
};

const sgd: Optimizer = {
  state: [],
  update(slot, sum, { kernels, learningRate, scale }) {
    slot.value = kernels.elementwise(descend, slot.value, [sum], [learningRate, scale]);
    sum.dispose();
  },
};

/** a = 0.9 a + g; w = w - rate a (tf.train.momentum without Nesterov). */
const momentum: Optimizer = {
  state: ['momentum'],
  update(slot, sum, { kernels, learningRate, scale }) {
    const [old] = slot.state;
    slot.state[0] = kernels.elementwise(average, old, [sum], [MOMENTUM, 1, scale]);
    sum.dispose();
    slot.value = kernels.elementwise(descend, slot.value, [slot.state[0]], [learningRate, 1]);
  },
};

/** tf.train.adam with its defaults (Kingma and Ba, 2015; algorithm 1). */
const adam: Optimizer = {
  state: ['m', 'v'],
  update(slot, sum, { kernels, learningRate, scale, updates }) {
    const [m, v] = slot.state;
    slot.state[0] = kernels.elementwise(average, m, [sum], [BETA1, 1 - BETA1, scale]);
    slot.state[1] = kernels.elementwise(averageOfSquares, v, [sum], [BETA2, 1 - BETA2, scale]);
    sum.dispose();
    const corrections = [1 - betaPower(BETA1, updates + 1), 1 - betaPower(BETA2, updates + 1)];
    slot.value = kernels.elementwise(adamDescend, slot.value, slot.state, [
      learningRate,
      ...corrections.map(Math.fround),
      EPSILON,
    ]);
  },
};

export const optimizerOf = (kind: OptimizerConfig['kind']): Optimizer => ({ sgd, momentum, adam })[kind];

/** Powers already computed, so that a long run does not multiply from the start at every step. */
const powers = new Map<number, { exponent: number; power: number }>();

/** beta^exponent as tfjs has it: a product in single precision, factor by factor. */
function betaPower(beta: number, exponent: number): number {
  const known = powers.get(beta);
  let { exponent: reached, power } = known && known.exponent <= exponent ? known : { exponent: 0, power: 1 };
  for (; reached < exponent && power > 0; reached++) power = Math.fround(power * Math.fround(beta));
  powers.set(beta, { exponent, power });
  return power;
}

/** Zeros for every array that the optimizer keeps for a tile. */
export const freshState = (optimizer: Optimizer, rows: number, columns: number): Tensor2D[] =>
  optimizer.state.map(() => tensor2d(new Float32Array(rows * columns), [rows, columns]));
