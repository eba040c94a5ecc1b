import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import { dropoutKey, dropoutThreshold } from '../../model/dropout.ts';
import type { Op } from '../../model/graph.ts';
import type { ElementwiseProgram } from '../kernels/elementwise.ts';
import type { ColumnCut, DropoutMask } from '../kernels/kernels.ts';
import { windowOf, type Window } from '../kernels/window.ts';
import { matrixOf } from '../matrix.ts';
import { CURVES, DERIVATIVES, leakyRelu, leakyReluDerivative } from './activations.ts';
import { sumsOf, throughOf, type LearnedFrom, type OpContext, type Pass, type RunningOp } from './op.ts';

type OpOf<Kind extends Op['kind']> = Extract<Op, { kind: Kind }>;

const NOTHING = { input: false, output: false };

const addBias: ElementwiseProgram = {
  inputs: ['x', 'b'],
  columns: ['b'],
  uniforms: [],
  glsl: 'x + b',
  cpu: ([x, b], _, columns) => {
    for (let i = 0; i < x.length; i++) x[i] += b[i % columns];
  },
};

const addBoth: ElementwiseProgram = {
  inputs: ['x', 'y'],
  uniforms: [],
  glsl: 'x + y',
  cpu: ([x, y]) => {
    for (let i = 0; i < x.length; i++) x[i] += y[i];
  },
};

export function bias({ kernels, parameters: [parameter] }: OpContext): RunningOp {
  return {
    keeps: NOTHING,
    forward: ([x], { version }) => ({
      output: kernels.elementwise(addBias, kernels.copy(x), parameter.tilesOf(version), []),
    }),
    backward({ learn }, gradient) {
      // The gradient itself goes on.
      learn(sumsOf(kernels, parameter, kernels.addColumnSums(null, [gradient])));
      return [gradient];
    },
  };
}

export function activation({ kernels }: OpContext, { activation: curve }: OpOf<'activation'>): RunningOp {
  return {
    keeps: { input: false, output: true },
    forward: ([x]) => ({ output: kernels.elementwise(CURVES[curve], kernels.copy(x), [], []) }),
    backward: ({ output }, gradient) => [kernels.elementwise(DERIVATIVES[curve], gradient, [output!], [])],
  };
}

export function leaky({ kernels }: OpContext, { alpha }: OpOf<'leakyRelu'>): RunningOp {
  return {
    keeps: { input: false, output: true },
    forward: ([x]) => ({ output: kernels.elementwise(leakyRelu, kernels.copy(x), [], [alpha]) }),
    backward: ({ output }, gradient) => [
      kernels.elementwise(leakyReluDerivative, gradient, [output!], [alpha]),
    ],
  };
}

/** Each number's mask follows from its place in the layer's full tensor. */
export function dropout(context: OpContext, { rate }: OpOf<'dropout'>): RunningOp {
  const { kernels, seed, op, output: register } = context;
  const { shape, held } = register;
  const isFlat = shape.shape.length === 1;
  const order = context.orderOf(shape.space);
  const places: number[] = [];
  for (let o = 0; o < (isFlat ? shape.outer : 1); o++) {
    for (let position = held[0]; position < held[1]; position++) {
      for (let q = 0; q < shape.inner; q++) {
        places.push((o * shape.units + (order ? order[position] : position)) * shape.inner + q);
      }
    }
  }
  const indices = tensor2d(Float32Array.from(places), [1, places.length]);
  const maskOf = ({ step, firstSample }: Pass): DropoutMask => ({
    key: dropoutKey(seed, op.layer, step),
    threshold: dropoutThreshold(rate),
    scale: 1 / (1 - rate),
    firstSample,
    rowsPerSample: isFlat ? 1 : shape.outer,
    rowStride: isFlat ? 0 : shape.units * shape.inner,
    indices,
  });
  return {
    keeps: NOTHING,
    tensors: [indices],
    forward: ([x], pass) => ({
      output: pass.training ? kernels.dropout(kernels.copy(x), maskOf(pass)) : kernels.copy(x),
    }),
    backward: (_, gradient, __, pass) => [kernels.dropout(gradient, maskOf(pass))],
  };
}

export function pooling(
  { kernels, input, through }: OpContext,
  op: Extract<Op, { poolSize: unknown }>,
): RunningOp {
  const window = windowOf(input.shape.shape, op.poolSize, op.strides, op.padding);
  if (op.kind === 'averagePooling2d') return averaging(kernels, window);
  return {
    keeps: { input: true, output: true },
    forward: ([x]) => ({ output: kernels.maxPool(x, window) }),
    backward({ inputs: [x], output }, gradient) {
      const result = kernels.maxPoolGradient(gradient, x!, output!, window, throughOf(through, x));
      gradient.dispose();
      return [result];
    },
  };
}

export function globalAverage({ kernels, input }: OpContext): RunningOp {
  const [height, width] = input.shape.shape;
  return averaging(kernels, windowOf([height, width], [height, width], [height, width], 'valid'));
}

function averaging(kernels: OpContext['kernels'], window: Window): RunningOp {
  return {
    keeps: NOTHING,
    forward: ([x]) => ({ output: kernels.averagePool(x, window) }),
    backward(_, gradient) {
      const result = kernels.averagePoolGradient(gradient, window);
      gradient.dispose();
      return [result];
    },
  };
}

export function depthwise(
  { kernels, input, parameters: [kernel] }: OpContext,
  op: OpOf<'depthwiseConv2d'>,
): RunningOp {
  const window = windowOf(input.shape.shape, op.kernelSize, op.strides, op.padding);
  return {
    keeps: { input: true, output: false },
    forward: ([x], { version }) => ({ output: kernels.depthwise(x, kernel.tilesOf(version)[0], window) }),
    backward({ learn }, gradient, wantsInput, { version }) {
      const add = (works: readonly LearnedFrom[]) => {
        for (const { tensors, input: x } of works) {
          const each = kernels.depthwiseKernelGradients(x!, tensors[0], window);
          kernel.sums[0] = kernels.addColumnSums(kernel.sums[0], [each]);
          each.dispose();
        }
      };
      learn({ tensors: [gradient], readsInput: true, add });
      const [weights] = kernel.tilesOf(version);
      return [wantsInput ? kernels.depthwiseInputGradient(gradient, weights, window, op.multiplier) : null];
    },
  };
}

export function reshaping({ kernels, input, output }: OpContext): RunningOp {
  return {
    keeps: NOTHING,
    forward: ([x], { rows }) => ({ output: kernels.reshape(kernels.copy(x), ...matrixOf(output, rows)) }),
    backward: (_, gradient, __, { rows }) => [kernels.reshape(gradient, ...matrixOf(input, rows))],
  };
}

export function addition({ kernels, op }: OpContext): RunningOp {
  return {
    keeps: NOTHING,
    forward: ([first, ...others]) => ({
      output: others.reduce((sum, x) => kernels.elementwise(addBoth, sum, [x], []), kernels.copy(first)),
    }),
    backward: (_, gradient) => op.inputs.map((__, i) => (i === 0 ? gradient : kernels.copy(gradient))),
  };
}

export function narrowing({ kernels, input, output }: OpContext): RunningOp {
  const { inner } = input.shape;
  const cut: ColumnCut = {
    width: (input.held[1] - input.held[0]) * inner,
    start: (output.held[0] - input.held[0]) * inner,
    count: (output.held[1] - output.held[0]) * inner,
  };
  return {
    keeps: NOTHING,
    forward: ([x]) => ({ output: kernels.takeColumns(x, cut) }),
    backward(_, gradient) {
      const result = kernels.putColumns(gradient, cut);
      gradient.dispose();
      return [result];
    },
  };
}

/** Adds two gradients of one register. Consumes both. */
export function addGradients({ kernels }: Pick<OpContext, 'kernels'>, a: Tensor2D, b: Tensor2D): Tensor2D {
  const sum = kernels.elementwise(addBoth, a, [b], []);
  b.dispose();
  return sum;
}
