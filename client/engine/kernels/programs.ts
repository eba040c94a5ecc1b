import type { ElementwiseProgram, Summand } from './elementwise.ts';

/** a + b. */
export const add: ElementwiseProgram = {
  inputs: ['a', 'b'],
  uniforms: [],
  glsl: 'a + b',
  cpu: ([a, b]) => {
    for (let i = 0; i < a.length; i++) a[i] += b[i];
  },
};

/** keep * a + take * b. */
export const blend: ElementwiseProgram = {
  inputs: ['a', 'b'],
  uniforms: ['keep', 'take'],
  glsl: 'keep * a + take * b',
  cpu: ([a, b], [keep, take]) => {
    for (let i = 0; i < a.length; i++) a[i] = keep * a[i] + take * b[i];
  },
};

/** The mean, where `scale` is one over how many there are. */
export const scaled: Summand = {
  inputs: ['x'],
  uniforms: ['scale'],
  glsl: 'scale * x',
  cpu: ([x], i, _column, _row, [scale]) => scale * x[i],
};
