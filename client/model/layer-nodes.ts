import type { Activation, LayerSpec, Pair } from '../../shared/model.ts';
import { sizeOf, type Dimension, type NodeKind, type Op, type ParameterShape, type TensorShape } from './graph.ts';

/** A node before it has a place in a graph. */
export interface LayerNode {
  kind: NodeKind;
  op: Op;
  /** Without its unit space. */
  output: Omit<TensorShape, 'space'>;
  /** `new`: its units are its own; `kept`: those of its input; `apart`: input and output order both mean something. */
  space: 'new' | 'kept' | 'apart';
  parameters: ParameterShape[];
  operations: number;
}

/** The nodes of a layer on its inputs. Throws a message for people that names the layer where they do not fit. */
export function layerNodes(spec: LayerSpec, inputs: readonly TensorShape[]): LayerNode[] {
  const refuse = (why: string): never => {
    throw new Error(`Layer ${spec.name}: ${why}.`);
  };
  const [input] = inputs;
  const shown = `[${input.shape.join(', ')}]`;
  if (spec.kind === 'add') {
    if (inputs.length < 2) refuse('an add takes two inputs or more');
    for (const other of inputs) {
      const same = other.shape.join() === input.shape.join() && other.units === input.units && other.outer === input.outer;
      if (!same) refuse(`an add takes inputs of one shape, not ${shown} and [${other.shape.join(', ')}]`);
    }
    return [unitwise({ kind: 'add' }, input)];
  }
  if (inputs.length !== 1) refuse('only an add takes several inputs');
  const isImage = input.shape.length === 3;
  const needsImage = (what: string) => (isImage ? undefined : refuse(`${what} takes an input of shape [height, width, channels], not ${shown}`));
  switch (spec.kind) {
    case 'dense': {
      if (input.shape.length !== 1) refuse(`a dense layer takes a flat input, not one of shape ${shown}`);
      const output = flat(spec.units);
      const inputs_ = sizeOf(input.shape);
      const kernel: ParameterShape = {
        name: `${spec.name}/kernel`,
        shape: [inputs_, spec.units],
        dimensions: [{ by: 'input', units: input.units, outer: input.outer, inner: input.inner }, columns('output', spec.units)],
        trainable: true,
      };
      const product: LayerNode = {
        kind: 'linear',
        op: { kind: 'dense' },
        output,
        space: 'new',
        parameters: [kernel],
        operations: 2 * inputs_ * spec.units,
      };
      return [product, ...finish(spec, output)];
    }
    case 'conv2d': {
      needsImage('a convolution');
      const { kernelSize, strides, padding, units } = spec;
      const [height, width] = windows(input.shape, kernelSize, strides, padding, refuse);
      const channels = input.shape[2];
      const output = { shape: [height, width, units], units, outer: height * width, inner: 1 };
      const product: LayerNode = {
        kind: 'linear',
        op: { kind: 'conv2d', kernelSize, strides, padding },
        output,
        space: 'new',
        parameters: [
          {
            name: `${spec.name}/kernel`,
            shape: [...kernelSize, channels, units],
            dimensions: [null, null, { by: 'input', units: input.units, outer: 1, inner: input.inner }, columns('output', units)],
            trainable: true,
          },
        ],
        operations: 2 * sizeOf(kernelSize) * channels * units * height * width,
      };
      return [product, ...finish(spec, output)];
    }
    case 'depthwiseConv2d': {
      needsImage('a depthwise convolution');
      const { kernelSize, strides, padding, multiplier } = spec;
      const [height, width] = windows(input.shape, kernelSize, strides, padding, refuse);
      const channels = input.shape[2];
      const output = {
        shape: [height, width, channels * multiplier],
        units: input.units,
        outer: height * width,
        inner: input.inner * multiplier,
      };
      const product: LayerNode = {
        kind: 'unitwise',
        op: { kind: 'depthwiseConv2d', kernelSize, strides, padding, multiplier },
        output,
        space: 'kept',
        parameters: [
          {
            name: `${spec.name}/depthwise_kernel`,
            shape: [...kernelSize, channels, multiplier],
            dimensions: [null, null, { by: 'input', units: input.units, outer: 1, inner: input.inner }, null],
            trainable: true,
          },
        ],
        operations: 2 * sizeOf(kernelSize) * channels * multiplier * height * width,
      };
      return [product, ...finish(spec, output)];
    }
    case 'maxPooling2d':
    case 'averagePooling2d': {
      needsImage('pooling');
      const { kind, poolSize, strides, padding } = spec;
      const [height, width] = windows(input.shape, poolSize, strides, padding, refuse);
      const output = { ...withoutSpace(input), shape: [height, width, input.shape[2]], outer: height * width };
      return [{ ...unitwise({ kind, poolSize, strides, padding }, output), operations: sizeOf(output.shape) * sizeOf(poolSize) }];
    }
    case 'globalAveragePooling2d': {
      needsImage('global pooling');
      const output = { ...withoutSpace(input), shape: [input.shape[2]], outer: 1 };
      return [{ ...unitwise({ kind: 'globalAveragePooling2d' }, output), operations: sizeOf(input.shape) }];
    }
    case 'flatten':
      return [{ ...unitwise({ kind: 'reshape' }, { ...withoutSpace(input), shape: [sizeOf(input.shape)] }), operations: 0 }];
    case 'reshape': {
      if (sizeOf(spec.shape) !== sizeOf(input.shape)) refuse(`shape ${shown} cannot become [${spec.shape.join(', ')}]`);
      const last = spec.shape[spec.shape.length - 1];
      const keepsUnits = last === input.shape[input.shape.length - 1] && last === input.units * input.inner;
      if (keepsUnits) return [{ ...unitwise({ kind: 'reshape' }, { ...withoutSpace(input), shape: spec.shape }), operations: 0 }];
      const output = { shape: spec.shape, units: last, outer: sizeOf(spec.shape) / last, inner: 1 };
      return [{ kind: 'across', op: { kind: 'reshape' }, output, space: 'apart', parameters: [], operations: 0 }];
    }
    case 'activation':
      return spec.activation === 'linear' ? [unitwise({ kind: 'reshape' }, input)] : [unitwise({ kind: 'activation', activation: spec.activation }, input)];
    case 'leakyRelu':
      return [unitwise({ kind: 'leakyRelu', alpha: spec.alpha }, input)];
    case 'dropout':
      return [unitwise({ kind: 'dropout', rate: spec.rate }, input)];
    case 'batchNormalization':
    case 'layerNormalization': {
      // Over the last axis, as in tfjs: one entry per number of a flat input, one per channel of an image.
      const per: Dimension = { by: 'output', units: input.units, outer: input.shape.length === 1 ? input.outer : 1, inner: input.inner };
      const entries = per.units * per.outer * per.inner;
      const array = (name: string, trainable: boolean): ParameterShape => ({
        name: `${spec.name}/${name}`,
        shape: [entries],
        dimensions: [per],
        trainable,
      });
      const parameters = [...(spec.scale ? [array('gamma', true)] : []), ...(spec.center ? [array('beta', true)] : [])];
      const { center, scale, epsilon } = spec;
      const operations = 8 * sizeOf(input.shape);
      if (spec.kind === 'layerNormalization') {
        const op: Op = { kind: 'layerNormalization', epsilon, center, scale };
        return [{ kind: 'across', op, output: withoutSpace(input), space: 'kept', parameters, operations }];
      }
      parameters.push(array('moving_mean', false), array('moving_variance', false));
      const op: Op = { kind: 'batchNormalization', momentum: spec.momentum, epsilon, center, scale };
      return [{ ...unitwise(op, input), parameters, operations }];
    }
    case 'softmax':
      return [{ ...unitwise({ kind: 'softmax' }, input), kind: 'across', operations: 4 * sizeOf(input.shape) }];
  }
}

/** Bias and activation of a layer: nodes of their own, because a layer cut by rows is complete only after an exchange. */
function finish(spec: { name: string; useBias: boolean; activation: Activation }, output: Omit<TensorShape, 'space'>): LayerNode[] {
  const channels = output.units * output.inner;
  const bias: LayerNode = {
    ...unitwise({ kind: 'bias' }, output),
    parameters: [
      {
        name: `${spec.name}/bias`,
        shape: [channels],
        dimensions: [{ by: 'output', units: output.units, outer: 1, inner: output.inner }],
        trainable: true,
      },
    ],
  };
  const { activation } = spec;
  return [...(spec.useBias ? [bias] : []), ...(activation === 'linear' ? [] : [unitwise({ kind: 'activation', activation }, output)])];
}

const flat = (units: number): Omit<TensorShape, 'space'> => ({ shape: [units], units, outer: 1, inner: 1 });

const columns = (by: Dimension['by'], units: number): Dimension => ({ by, units, outer: 1, inner: 1 });

const withoutSpace = ({ shape, units, outer, inner }: Omit<TensorShape, 'space'>) => ({ shape, units, outer, inner });

function unitwise(op: Op, output: Omit<TensorShape, 'space'>): LayerNode {
  return { kind: 'unitwise', op, output: withoutSpace(output), space: 'kept', parameters: [], operations: sizeOf(output.shape) };
}

/** Output extents of a sliding window (as in tfjs). */
function windows(
  [height, width]: readonly number[],
  size: Pair,
  strides: Pair,
  padding: 'same' | 'valid',
  refuse: (why: string) => never,
): Pair {
  const along = (extent: number, window: number, stride: number) =>
    padding === 'same' ? Math.ceil(extent / stride) : Math.ceil((extent - window + 1) / stride);
  const result: Pair = [along(height, size[0], strides[0]), along(width, size[1], strides[1])];
  if (result[0] < 1 || result[1] < 1) refuse(`a window of ${size.join(' x ')} does not fit into ${height} x ${width}`);
  return result;
}
