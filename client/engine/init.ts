import { hashText, randomUniform } from '../../shared/counter-random.ts';
import type { BlockLayer, NamedArray } from '../ports/compute.ts';

/**
 * Glorot's uniform distribution (Glorot and Bengio, 2010, formula 16): +-sqrt(6 / (fan in + fan out)), for units
 * [start, end) of a kernel [inputs, units]. Each number has a key of its own, so any partition gets the same ones.
 */
export function glorotKernel(seed: number, layer: BlockLayer): NamedArray {
  const name = `${layer.spec.name}/kernel`;
  const [inputs] = layer.inputShape;
  const [start, end] = layer.units;
  const width = end - start;
  const limit = Math.sqrt(6 / (inputs + layer.spec.units));
  const key = hashText(name);
  const data = new Float32Array(inputs * width);
  for (let input = 0; input < inputs; input++) {
    for (let unit = start; unit < end; unit++) {
      data[input * width + unit - start] = (2 * randomUniform(seed, key, unit, input) - 1) * limit;
    }
  }
  return { name, shape: [inputs, width], data };
}

/** Zero biases for units [start, end). */
export function zeroBias(layer: BlockLayer): NamedArray {
  const width = layer.units[1] - layer.units[0];
  return { name: `${layer.spec.name}/bias`, shape: [width], data: new Float32Array(width) };
}
