import type { LayerSpec, ModelSpec } from '../../shared/model.ts';

/** A parameter array of a layer, over all its units. */
export interface ParameterShape {
  name: string;
  shape: number[];
}

/** What a layer is, derived from its spec and its input: everything that the planner and the blocks need to agree on. */
export interface LayerShape {
  spec: LayerSpec;
  inputShape: number[];
  outputShape: number[];
  parameters: ParameterShape[];
  /** Multiply-adds counted as two operations, one sample, forward. */
  operations: number;
}

export const sizeOf = (shape: number[]): number => shape.reduce((product, extent) => product * extent, 1);

export const parameterCount = (layer: LayerShape): number =>
  layer.parameters.reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0);

/** Shapes of all layers in order. Throws with the layer's name where a layer does not fit its input. */
export function modelShapes(model: ModelSpec): LayerShape[] {
  let inputShape = model.inputShape;
  return model.layers.map((spec) => {
    const shape = layerShape(spec, inputShape);
    inputShape = shape.outputShape;
    return shape;
  });
}

function layerShape(spec: LayerSpec, inputShape: number[]): LayerShape {
  if (inputShape.length !== 1) {
    throw new Error(`Layer ${spec.name}: a dense layer takes a flat input, not one of shape [${inputShape.join(', ')}].`);
  }
  const [inputs] = inputShape;
  return {
    spec,
    inputShape,
    outputShape: [spec.units],
    parameters: [
      { name: `${spec.name}/kernel`, shape: [inputs, spec.units] },
      { name: `${spec.name}/bias`, shape: [spec.units] },
    ],
    operations: 2 * inputs * spec.units,
  };
}
