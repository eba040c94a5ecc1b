import type { Activation } from '../../../../shared/model.ts';

/** What an activation makes of `vec4 result`. */
export const ACTIVATIONS: Readonly<Record<Activation, string>> = {
  linear: '',
  relu: 'result = max(result, vec4(0.0));',
  // The textbook form overflows for large arguments on some drivers.
  tanh: 'vec4 decay = exp(-2.0 * abs(result)); result = sign(result) * (1.0 - decay) / (1.0 + decay);',
  sigmoid: 'result = 1.0 / (1.0 + exp(-result));',
};
