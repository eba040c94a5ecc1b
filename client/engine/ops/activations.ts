import type { Activation } from '../../../shared/model.ts';
import type { ElementwiseProgram } from '../kernels/elementwise.ts';

export type Curve = Exclude<Activation, 'linear'>;

const map = (glsl: string, value: (x: number) => number): ElementwiseProgram => ({
  inputs: ['x'],
  uniforms: [],
  glsl,
  cpu: ([x]) => {
    for (let i = 0; i < x.length; i++) x[i] = value(x[i]);
  },
});

/** Derivatives written in the output y, so that the input need not be kept. Target: dLoss/dy. */
const derivative = (glsl: string, factor: (y: number) => number): ElementwiseProgram => ({
  inputs: ['d', 'y'],
  uniforms: [],
  glsl,
  cpu: ([d, y]) => {
    for (let i = 0; i < d.length; i++) d[i] *= factor(y[i]);
  },
});

export const CURVES: Readonly<Record<Curve, ElementwiseProgram>> = {
  relu: map('max(x, vec4(0.0))', (x) => Math.max(x, 0)),
  // The textbook form overflows for large arguments on some drivers.
  tanh: map('sign(x) * (1.0 - exp(-2.0 * abs(x))) / (1.0 + exp(-2.0 * abs(x)))', Math.tanh),
  sigmoid: map('1.0 / (1.0 + exp(-x))', (x) => 1 / (1 + Math.exp(-x))),
};

export const DERIVATIVES: Readonly<Record<Curve, ElementwiseProgram>> = {
  relu: derivative('d * step(vec4(1e-37), y)', (y) => (y > 0 ? 1 : 0)),
  tanh: derivative('d * (1.0 - y * y)', (y) => 1 - y * y),
  sigmoid: derivative('d * (y * (1.0 - y))', (y) => y * (1 - y)),
};

export const leakyRelu: ElementwiseProgram = {
  inputs: ['x'],
  uniforms: ['alpha'],
  glsl: 'max(x, vec4(0.0)) + alpha * min(x, vec4(0.0))',
  cpu: ([x], [alpha]) => {
    for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= alpha;
  },
};

/** The output has its input's sign (alpha is not negative). */
export const leakyReluDerivative: ElementwiseProgram = {
  inputs: ['d', 'y'],
  uniforms: ['alpha'],
  glsl: 'd * mix(vec4(alpha), vec4(1.0), step(vec4(1e-37), y))',
  cpu: ([d, y], [alpha]) => {
    for (let i = 0; i < d.length; i++) if (!(y[i] > 0)) d[i] *= alpha;
  },
};
