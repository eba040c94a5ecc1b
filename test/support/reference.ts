// Registers tfjs's gradients.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { glorotKernel, zeroBias } from '../../client/engine/init.ts';
import { modelShapes } from '../../client/model/shapes.ts';
import type { BlockLayer, NamedArray } from '../../client/ports/compute.ts';
import type { ModelSpec, OptimizerConfig } from '../../shared/model.ts';

export interface ReferenceBatch {
  /** [rows, inputs], normalised. */
  inputs: Float32Array;
  labels: Uint8Array;
  rows: number;
}

/** The layers of a model as one device would hold them. */
export const wholeLayers = (model: ModelSpec): BlockLayer[] =>
  modelShapes(model).map(({ spec, inputShape, outputShape }) => ({
    spec,
    inputShape,
    outputShape,
    units: [0, spec.units],
  }));

/** tfjs has no common way to change the rate: SGD and momentum have a setter, Adam reads its field. */
type Optimizer = Pick<tf.Optimizer, 'applyGradients' | 'dispose'> & {
  learningRate: number;
  setLearningRate?: (rate: number) => void;
};

let instances = 0;

/**
 * What the swarm must equal: the model on one device by tfjs's own gradients and optimizers, gradients summed over the
 * micro-batches of a step and divided by their number. Uses the current tfjs backend.
 */
export class Reference {
  private readonly model: ModelSpec;
  private readonly optimizer: Optimizer;
  private readonly variables: { name: string; variable: tf.Variable }[];

  constructor({ model, seed, optimizer }: { model: ModelSpec; seed: number; optimizer: OptimizerConfig }) {
    this.model = model;
    const { kind, learningRate } = optimizer;
    this.optimizer = {
      sgd: () => tf.train.sgd(learningRate),
      momentum: () => tf.train.momentum(learningRate, 0.9),
      // tfjs's default for epsilon is 1e-7 on the CPU, but 1e-4 on WebGL; EdgePipe's is the same everywhere.
      adam: () => tf.train.adam(learningRate, 0.9, 0.999, 1e-7),
    }[kind]() as unknown as Optimizer;
    const prefix = `reference${instances++}/`;
    this.variables = wholeLayers(model).flatMap((layer) =>
      [glorotKernel(seed, layer), zeroBias(layer)].map(({ name, shape, data }) => ({
        name,
        variable: tf.tidy(() => tf.variable(tf.tensor(data, shape), true, prefix + name)),
      })),
    );
  }

  /** One optimizer step. `loss`: mean over the samples. */
  step(batches: readonly ReferenceBatch[], learningRate: number): { loss: number; correct: number } {
    (this.optimizer as unknown as { setLearningRate?: (rate: number) => void }).setLearningRate?.(
      learningRate,
    );
    this.optimizer.learningRate = learningRate;
    let sums: tf.NamedTensorMap = {};
    let lossSum = 0;
    let correct = 0;
    for (const { inputs, labels, rows } of batches) {
      const x = tf.tensor2d(inputs.slice(), [rows, inputs.length / rows]);
      const truth = tf.tensor1d(Array.from(labels), 'int32');
      correct += tf.tidy(() => tf.sum(tf.equal(tf.argMax(this.logits(x), 1), truth)).dataSync()[0]);
      const { value, grads } = tf.variableGrads(() => this.meanLoss(x, truth), this.tensors);
      lossSum += value.dataSync()[0] * rows;
      const old = sums;
      sums = mapValues(grads, (name, gradient) =>
        name in old ? tf.add(old[name], gradient) : gradient.clone(),
      );
      tf.dispose([x, truth, value, grads, old]);
    }
    const means = mapValues(sums, (_, sum) => tf.div(sum, batches.length));
    this.optimizer.applyGradients(means);
    tf.dispose([sums, means]);
    return { loss: lossSum / batches.reduce((rows, batch) => rows + batch.rows, 0), correct };
  }

  parameters(): NamedArray[] {
    return this.variables.map(({ name, variable }) => ({
      name,
      shape: variable.shape,
      data: variable.dataSync<'float32'>().slice(),
    }));
  }

  /** Puts the parameters where another run has them; optimizer state stays. */
  setParameters(parameters: ReadonlyMap<string, Float32Array>): void {
    for (const { name, variable } of this.variables) {
      const values = tf.tensor(parameters.get(name)!, variable.shape);
      variable.assign(values);
      values.dispose();
    }
  }

  /** Class probabilities [rows, classes]. */
  predict(inputs: Float32Array, rows: number): Float32Array {
    return tf.tidy(() =>
      tf
        .softmax(this.logits(tf.tensor2d(inputs.slice(), [rows, inputs.length / rows])))
        .dataSync<'float32'>(),
    );
  }

  dispose(): void {
    this.tensors.forEach((variable) => variable.dispose());
    this.optimizer.dispose();
  }

  private get tensors(): tf.Variable[] {
    return this.variables.map(({ variable }) => variable);
  }

  private logits(x: tf.Tensor2D): tf.Tensor2D {
    const w = this.tensors;
    return this.model.layers.reduce((input, { activation }, i) => {
      const z = tf.add<tf.Tensor2D>(tf.matMul(input, w[2 * i]), w[2 * i + 1]);
      if (activation === 'linear') return z;
      return { relu: tf.relu, tanh: tf.tanh, sigmoid: tf.sigmoid }[activation](z);
    }, x);
  }

  private meanLoss(x: tf.Tensor2D, truth: tf.Tensor1D): tf.Scalar {
    const logits = this.logits(x);
    const onehot = tf.oneHot(truth, logits.shape[1]);
    return tf.neg(tf.mean(tf.sum(tf.mul(onehot, tf.logSoftmax(logits)), 1)));
  }
}

function mapValues(
  map: tf.NamedTensorMap,
  make: (name: string, tensor: tf.Tensor) => tf.Tensor,
): tf.NamedTensorMap {
  return Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, make(name, tensor)]));
}
