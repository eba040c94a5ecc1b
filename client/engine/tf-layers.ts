import type { layers } from '@tensorflow/tfjs-layers';
import type { LayerSpec } from '../../shared/model.ts';

type Factory = typeof layers;
type TfLayer = InstanceType<Factory['Layer']>;

/** The tfjs layer of a spec. `isLogits`: a dense layer that ends the model, which gives probabilities there. */
export function tfLayer(make: Factory, spec: LayerSpec, isLogits: boolean): TfLayer {
  const { name } = spec;
  switch (spec.kind) {
    case 'dense':
      return make.dense({
        name,
        units: spec.units,
        useBias: spec.useBias,
        activation: isLogits ? 'softmax' : spec.activation,
        // Overwritten by what was trained: zeros cost nothing to draw.
        kernelInitializer: 'zeros',
      });
    case 'conv2d': {
      const { units, kernelSize, strides, padding, activation, useBias } = spec;
      return make.conv2d({
        name,
        filters: units,
        kernelSize,
        strides,
        padding,
        activation,
        useBias,
        kernelInitializer: 'zeros',
      });
    }
    case 'depthwiseConv2d': {
      const { kernelSize, strides, padding, activation, useBias, multiplier } = spec;
      return make.depthwiseConv2d({
        name,
        kernelSize,
        strides,
        padding,
        activation,
        useBias,
        depthMultiplier: multiplier,
        depthwiseInitializer: 'zeros',
      });
    }
    case 'maxPooling2d':
      return make.maxPooling2d({
        name,
        poolSize: spec.poolSize,
        strides: spec.strides,
        padding: spec.padding,
      });
    case 'averagePooling2d':
      return make.averagePooling2d({
        name,
        poolSize: spec.poolSize,
        strides: spec.strides,
        padding: spec.padding,
      });
    case 'globalAveragePooling2d':
      return make.globalAveragePooling2d({ name });
    case 'flatten':
      return make.flatten({ name });
    case 'reshape':
      return make.reshape({ name, targetShape: spec.shape });
    case 'activation':
      return make.activation({ name, activation: spec.activation });
    case 'leakyRelu':
      return make.leakyReLU({ name, alpha: spec.alpha });
    case 'dropout':
      return make.dropout({ name, rate: spec.rate });
    case 'batchNormalization': {
      const { momentum, epsilon, center, scale } = spec;
      return make.batchNormalization({ name, momentum, epsilon, center, scale });
    }
    case 'layerNormalization': {
      const { epsilon, center, scale } = spec;
      return make.layerNormalization({ name, epsilon, center, scale });
    }
    case 'softmax':
      return make.softmax({ name });
    case 'add':
      return make.add({ name });
  }
}
