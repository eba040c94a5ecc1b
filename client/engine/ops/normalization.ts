import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Op } from '../../model/graph.ts';
import type { ElementwiseProgram, Summand } from '../kernels/elementwise.ts';
import type { Parameter } from '../parameter.ts';
import { sumsOf, type LearnedFrom, type OpContext, type RunningOp } from './op.ts';

/** Statistics are one per column (batch normalization) or one per row (layer normalization, softmax). */
type Along = 'columns' | 'rows';

const indexOf = (along: Along, i: number, columns: number): number =>
  along === 'columns' ? i % columns : Math.floor(i / columns);

const total: Summand = { inputs: ['x'], uniforms: [], glsl: 'x', cpu: ([x], i) => x[i] };
const product: Summand = { inputs: ['x', 'y'], uniforms: [], glsl: 'x * y', cpu: ([x, y], i) => x[i] * y[i] };

const squares = (along: Along): Summand => ({
  inputs: ['x', 'm'],
  [along]: ['m'],
  uniforms: [],
  glsl: '(x - m) * (x - m)',
  cpu: ([x, m], i, column, row) => (x[i] - m[along === 'columns' ? column : row]) ** 2,
});

const scaled: ElementwiseProgram = {
  inputs: ['x'],
  uniforms: ['factor'],
  glsl: 'x * factor',
  cpu: ([x], [factor]) => {
    for (let i = 0; i < x.length; i++) x[i] *= factor;
  },
};

/** 1 / sqrt(variance + epsilon). */
const inverse: ElementwiseProgram = {
  inputs: ['v'],
  uniforms: ['epsilon'],
  glsl: 'inversesqrt(v + epsilon)',
  cpu: ([v], [epsilon]) => {
    for (let i = 0; i < v.length; i++) v[i] = 1 / Math.sqrt(v[i] + epsilon);
  },
};

const standardise = (along: Along): ElementwiseProgram => ({
  inputs: ['x', 'm', 's'],
  [along]: ['m', 's'],
  uniforms: [],
  glsl: '(x - m) * s',
  cpu: ([x, m, s], _, columns) => {
    for (let i = 0; i < x.length; i++) {
      const at = indexOf(along, i, columns);
      x[i] = (x[i] - m[at]) * s[at];
    }
  },
});

const perColumn = (glsl: string, value: (x: number, c: number) => number): ElementwiseProgram => ({
  inputs: ['x', 'c'],
  columns: ['c'],
  uniforms: [],
  glsl,
  cpu: ([x, c], _, columns) => {
    for (let i = 0; i < x.length; i++) x[i] = value(x[i], c[i % columns]);
  },
});
const times = perColumn('x * c', (x, c) => x * c);
const plus = perColumn('x + c', (x, c) => x + c);

/** s * (g - mean g - xhat * mean (g xhat)): the backward of standardising; `a` and `b` are the two sums, `n` what they are over. */
const unstandardise = (along: Along): ElementwiseProgram => ({
  inputs: ['g', 'h', 'a', 'b', 's'],
  [along]: ['a', 'b', 's'],
  uniforms: ['n'],
  glsl: 's * (g - a / n - h * b / n)',
  cpu: ([g, h, a, b, s], [n], columns) => {
    for (let i = 0; i < g.length; i++) {
      const at = indexOf(along, i, columns);
      g[i] = s[at] * (g[i] - a[at] / n - (h[i] * b[at]) / n);
    }
  },
});

/** moving * momentum + batch * (1 - momentum). */
const drift: ElementwiseProgram = {
  inputs: ['a', 'x'],
  uniforms: ['momentum'],
  glsl: 'a * momentum + x * (1.0 - momentum)',
  cpu: ([a, x], [momentum]) => {
    for (let i = 0; i < a.length; i++) a[i] = a[i] * momentum + x[i] * (1 - momentum);
  },
};

const PROGRAMS = {
  columns: {
    squares: squares('columns'),
    standardise: standardise('columns'),
    unstandardise: unstandardise('columns'),
  },
  rows: { squares: squares('rows'), standardise: standardise('rows'), unstandardise: unstandardise('rows') },
};

type Normalizing = Extract<Op, { kind: 'batchNormalization' | 'layerNormalization' }>;

/** Batch normalization (Ioffe and Szegedy, 2015) over all rows of a column, layer normalization (Ba et al., 2016) over a row. */
export function normalization(context: OpContext, op: Normalizing): RunningOp {
  const { kernels, op: blockOp, parameters } = context;
  const along: Along = op.kind === 'batchNormalization' ? 'columns' : 'rows';
  const programs = PROGRAMS[along];
  const named = (name: string): Parameter | null =>
    parameters.find((parameter) => parameter.name === `${blockOp.layer}/${name}`) ?? null;
  const [gamma, beta, movingMean, movingVariance] = ['gamma', 'beta', 'moving_mean', 'moving_variance'].map(
    named,
  );
  const sum = (summand: Summand, inputs: Tensor2D[]) =>
    along === 'columns' ? kernels.columnSums(summand, inputs, []) : kernels.rowSums(summand, inputs, []);
  const countOf = (x: Tensor2D) => x.shape[along === 'columns' ? 0 : 1];

  const standardised = (x: Tensor2D, mean: Tensor2D, inverseDeviation: Tensor2D) =>
    kernels.elementwise(programs.standardise, kernels.copy(x), [mean, inverseDeviation], []);
  const placed = (xhat: Tensor2D, version: number): Tensor2D => {
    const stretched = gamma ? kernels.elementwise(times, xhat, gamma.tilesOf(version), []) : xhat;
    return beta ? kernels.elementwise(plus, stretched, beta.tilesOf(version), []) : stretched;
  };
  const moments = (x: Tensor2D): { mean: Tensor2D; variance: Tensor2D } => {
    const factor = 1 / countOf(x);
    const mean = kernels.elementwise(scaled, sum(total, [x]), [], [factor]);
    const variance = kernels.elementwise(scaled, sum(programs.squares, [x, mean]), [], [factor]);
    return { mean, variance };
  };
  const follow = (moving: Parameter, batch: Tensor2D) => {
    const now = moving.next ?? kernels.copy(moving.value);
    moving.next = kernels.elementwise(
      drift,
      now,
      [batch],
      [op.kind === 'batchNormalization' ? op.momentum : 0],
    );
  };

  return {
    keeps: { input: true, output: false },
    forward([x], { training, version }) {
      if (movingMean && movingVariance && !training) {
        const deviation = kernels.elementwise(inverse, kernels.copy(movingVariance.value), [], [op.epsilon]);
        const output = placed(standardised(x, movingMean.value, deviation), version);
        deviation.dispose();
        return { output };
      }
      const { mean, variance } = moments(x);
      const deviation = kernels.elementwise(inverse, kernels.copy(variance), [], [op.epsilon]);
      const output = placed(standardised(x, mean, deviation), version);
      deviation.dispose();
      return { output, extras: [mean, variance] };
    },
    backward({ inputs: [x], extras: [mean, variance], learn }, gradient, wantsInput, { version }) {
      const deviation = kernels.elementwise(inverse, kernels.copy(variance), [], [op.epsilon]);
      const xhat = standardised(x!, mean, deviation);
      // Statistics learn with the weights: a forward may still be refused after this op has run.
      const add = (works: readonly LearnedFrom[]) => {
        if (!movingMean || !movingVariance) return;
        for (const { tensors } of works) {
          follow(movingMean, tensors[0]);
          follow(movingVariance, tensors[1]);
        }
      };
      learn({ tensors: [mean, variance], readsInput: false, add });
      if (gamma) learn(sumsOf(kernels, gamma, kernels.columnSums(product, [gradient, xhat], [])));
      if (beta) learn(sumsOf(kernels, beta, kernels.addColumnSums(null, [gradient])));
      let result: Tensor2D | null = null;
      if (wantsInput) {
        const g = gamma ? kernels.elementwise(times, gradient, gamma.tilesOf(version), []) : gradient;
        const a = sum(total, [g]);
        const b = sum(product, [g, xhat]);
        result = kernels.elementwise(programs.unstandardise, g, [xhat, a, b, deviation], [countOf(x!)]);
        a.dispose();
        b.dispose();
      } else {
        gradient.dispose();
      }
      for (const tensor of [xhat, deviation]) tensor.dispose();
      return [result];
    },
  };
}

const exponentials: ElementwiseProgram = {
  inputs: ['x', 'm'],
  rows: ['m'],
  uniforms: [],
  glsl: 'exp(x - m)',
  cpu: ([x, m], _, columns) => {
    for (let i = 0; i < x.length; i++) x[i] = Math.exp(x[i] - m[Math.floor(i / columns)]);
  },
};

const shares: ElementwiseProgram = {
  inputs: ['x', 's'],
  rows: ['s'],
  uniforms: [],
  glsl: 'x / max(s, vec4(1e-37))',
  cpu: ([x, s], _, columns) => {
    for (let i = 0; i < x.length; i++) x[i] /= s[Math.floor(i / columns)];
  },
};

/** y (d - sum of d y). Target: dLoss/dy. */
const unshare: ElementwiseProgram = {
  inputs: ['d', 'y', 's'],
  rows: ['s'],
  uniforms: [],
  glsl: 'y * (d - s)',
  cpu: ([d, y, s], _, columns) => {
    for (let i = 0; i < d.length; i++) d[i] = y[i] * (d[i] - s[Math.floor(i / columns)]);
  },
};

/** Over the last axis. */
export function softmax({ kernels }: OpContext): RunningOp {
  return {
    keeps: { input: false, output: true },
    forward([x]) {
      const highest = kernels.rowHighest(x);
      const raised = kernels.elementwise(exponentials, kernels.copy(x), [highest], []);
      const sums = kernels.rowSums(total, [raised], []);
      const output = kernels.elementwise(shares, raised, [sums], []);
      highest.dispose();
      sums.dispose();
      return { output };
    },
    backward({ output }, gradient) {
      const sums = kernels.rowSums(product, [gradient, output!], []);
      const result = kernels.elementwise(unshare, gradient, [output!, sums], []);
      sums.dispose();
      return [result];
    },
  };
}
