import * as tf from '@tensorflow/tfjs-core';
import { dropoutKey, dropoutThreshold, isKept } from '../../client/model/dropout.ts';
import type { Activation, LayerSpec, PoolingSpec } from '../../shared/model.ts';

/** What a layer's pass needs besides its inputs. */
export interface Pass {
  /** A parameter by its name, such as `layer/kernel`. */
  parameter(name: string): tf.Tensor;
  training: boolean;
  /** Sums over inputs are made in so many parts. */
  parts: number;
  seed: number;
  step: number;
  /** The rows' numbers among the samples of the step. */
  samples: readonly number[];
  /** Told the statistics of a batch normalization; they belong to the caller. */
  onMoments(layer: string, mean: tf.Tensor, variance: tf.Tensor): void;
}

const ACTIVATIONS: Readonly<Record<Activation, (x: tf.Tensor) => tf.Tensor>> = {
  linear: (x) => x,
  relu: tf.relu,
  tanh: tf.tanh,
  sigmoid: tf.sigmoid,
};

/** One layer by tfjs's own operations, all units at once: nothing of the engine but the numbers that decide what dropout keeps. */
export function runLayer(spec: LayerSpec, inputs: readonly tf.Tensor[], pass: Pass): tf.Tensor {
  const [x] = inputs;
  const own = (name: string) => pass.parameter(`${spec.name}/${name}`);
  switch (spec.kind) {
    case 'dense':
      return finished(inParts(x, own('kernel'), pass.parts, tf.matMul), spec, own);
    case 'conv2d':
      return finished(
        inParts(x, own('kernel'), pass.parts, (image, kernel) =>
          tf.conv2d(image as tf.Tensor4D, kernel as tf.Tensor4D, spec.strides, spec.padding),
        ),
        spec,
        own,
      );
    case 'depthwiseConv2d': {
      const kernel = own('depthwise_kernel') as tf.Tensor4D;
      return finished(depthwise(x, kernel, spec.strides, spec.padding), spec, own);
    }
    case 'maxPooling2d':
      return tf.maxPool(x as tf.Tensor4D, spec.poolSize, spec.strides, spec.padding);
    case 'averagePooling2d':
      return averagePool(x, spec);
    case 'globalAveragePooling2d':
      return tf.mean(x, [1, 2]);
    case 'flatten':
      return tf.reshape(x, [x.shape[0], -1]);
    case 'reshape':
      return tf.reshape(x, [x.shape[0], ...spec.shape]);
    case 'activation':
      return ACTIVATIONS[spec.activation](x);
    case 'leakyRelu':
      return tf.leakyRelu(x, spec.alpha);
    case 'dropout':
      return pass.training ? tf.mul(x, dropoutMask(spec, x.shape, pass)) : x;
    case 'batchNormalization': {
      if (!pass.training) return normalised(x, own('moving_mean'), own('moving_variance'), spec, own);
      const { mean, variance } = tf.moments(
        x,
        x.shape.slice(0, -1).map((_, axis) => axis),
      );
      pass.onMoments(spec.name, tf.keep(mean.clone()), tf.keep(variance.clone()));
      return normalised(x, mean, variance, spec, own);
    }
    case 'layerNormalization': {
      const { mean, variance } = tf.moments(x, x.shape.length - 1, true);
      return normalised(x, mean, variance, spec, own);
    }
    case 'softmax':
      return tf.softmax(x);
    case 'add':
      return tf.addN([...inputs]);
  }
}

/** A product over the inputs, which are the last axis of `x` and the last but one of `kernel`, as a sum of so many products. */
function inParts(
  x: tf.Tensor,
  kernel: tf.Tensor,
  parts: number,
  product: (x: tf.Tensor, kernel: tf.Tensor) => tf.Tensor,
): tf.Tensor {
  const axis = x.shape.length - 1;
  const inputs = x.shape[axis];
  if (parts === 1 || inputs === 1) return product(x, kernel);
  const first = Math.floor(inputs / 2);
  const sizes = [first, inputs - first];
  const kernels = tf.split(kernel, sizes, kernel.shape.length - 2);
  return tf.addN(tf.split(x, sizes, axis).map((slice, i) => inParts(slice, kernels[i], parts / 2, product)));
}

function finished(
  x: tf.Tensor,
  { useBias, activation }: { useBias: boolean; activation: Activation },
  own: (name: string) => tf.Tensor,
): tf.Tensor {
  return ACTIVATIONS[activation](useBias ? tf.add(x, own('bias')) : x);
}

function normalised(
  x: tf.Tensor,
  mean: tf.Tensor,
  variance: tf.Tensor,
  { epsilon, scale, center }: { epsilon: number; scale: boolean; center: boolean },
  own: (name: string) => tf.Tensor,
): tf.Tensor {
  const unit = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)));
  const scaled = scale ? tf.mul(unit, own('gamma')) : unit;
  return center ? tf.add(scaled, own('beta')) : scaled;
}

const depthwise = (
  x: tf.Tensor,
  kernel: tf.Tensor4D,
  strides: [number, number],
  padding: 'same' | 'valid',
): tf.Tensor => tf.depthwiseConv2d(x as tf.Tensor4D, kernel, strides, padding);

/** As sums and counts of windows: the gradient of tfjs's own average pooling divides by the whole window at the edges, too. */
function averagePool(x: tf.Tensor, { poolSize, strides, padding }: PoolingSpec): tf.Tensor {
  const ones = tf.ones<tf.Rank.R4>([...poolSize, x.shape[3]!, 1]);
  const counts = depthwise(tf.ones([1, ...x.shape.slice(1)]), ones, strides, padding);
  return tf.div(depthwise(x, ones, strides, padding), counts);
}

function dropoutMask(
  { name, rate }: { name: string; rate: number },
  shape: number[],
  { seed, step, samples }: Pass,
): tf.Tensor {
  const key = dropoutKey(seed, name, step);
  const threshold = dropoutThreshold(rate);
  const width = shape.slice(1).reduce((product, extent) => product * extent, 1);
  const mask = samples.flatMap((sample) =>
    Array.from({ length: width }, (_, i) => (isKept(key, sample, i, threshold) ? 1 / (1 - rate) : 0)),
  );
  return tf.tensor(mask, shape, 'float32');
}
