// Registers tfjs's gradients.
import '@tensorflow/tfjs-layers';
import * as tf from '@tensorflow/tfjs-core';
import { modelGraph, type ParameterShape } from '../../client/model/graph.ts';
import { initialPiece } from '../../client/model/pieces.ts';
import type { NamedArray } from '../../client/ports/compute.ts';
import type { BatchNormalizationSpec, ModelSpec, OptimizerConfig } from '../../shared/model.ts';
import { runLayer, type Pass } from './reference-layers.ts';

export interface ReferenceBatch {
  /** [rows, inputs], normalised. */
  inputs: Float32Array;
  labels: Uint8Array;
  rows: number;
  /** The rows' numbers among the samples of the step, by which dropout draws; left out: in order, after those of the batches before. */
  samples?: number[];
}

/** The parameters of a model, in the order of its nodes. */
export const wholeParameters = (model: ModelSpec): ParameterShape[] =>
  modelGraph(model).nodes.flatMap(({ parameters }) => parameters);

/** All parameters of a model as the seed has them. */
export const initialParameters = (model: ModelSpec, seed: number): NamedArray[] =>
  wholeParameters(model).map((parameter) =>
    initialPiece(
      seed,
      parameter,
      parameter.shape.map(() => null),
    ),
  );

/** tfjs has no common way to change the rate: SGD and momentum have a setter, Adam reads its field. */
type Optimizer = Pick<tf.Optimizer, 'applyGradients' | 'dispose'> & {
  learningRate: number;
  setLearningRate?: (rate: number) => void;
};

/** Statistics of one batch normalization over one micro-batch. */
interface Moments {
  layer: string;
  mean: tf.Tensor;
  variance: tf.Tensor;
}

let instances = 0;

/**
 * What the swarm must equal: the model on one device by tfjs's own operations, gradients and optimizers, gradients summed over the
 * micro-batches of a step and divided by their number. Uses the current tfjs backend.
 */
export class Reference {
  private readonly model: ModelSpec;
  private readonly seed: number;
  /** A power of two: sums over a layer's inputs are made in so many parts, for another order of summation. */
  private readonly parts: number;
  private readonly optimizer: Optimizer;
  private readonly variables = new Map<string, tf.Variable>();
  private steps = 0;

  constructor({
    model,
    seed,
    optimizer,
    parts = 1,
  }: {
    model: ModelSpec;
    seed: number;
    optimizer: OptimizerConfig;
    parts?: number;
  }) {
    this.model = model;
    this.seed = seed;
    this.parts = parts;
    const { kind, learningRate } = optimizer;
    this.optimizer = {
      sgd: () => tf.train.sgd(learningRate),
      momentum: () => tf.train.momentum(learningRate, 0.9),
      // tfjs's default for epsilon is 1e-7 on the CPU, but 1e-4 on WebGL; EdgePipe's is the same everywhere.
      adam: () => tf.train.adam(learningRate, 0.9, 0.999, 1e-7),
    }[kind]() as unknown as Optimizer;
    const prefix = `reference${instances++}/`;
    const isTrainable = new Map(wholeParameters(model).map(({ name, trainable }) => [name, trainable]));
    for (const { name, shape, data } of initialParameters(model, seed)) {
      const variable = tf.tidy(() =>
        tf.variable(tf.tensor(data, shape, 'float32'), isTrainable.get(name), prefix + name),
      );
      this.variables.set(name, variable);
    }
  }

  /** One optimizer step. `step` numbers it for dropout. `loss`: mean over the samples. */
  step(
    batches: readonly ReferenceBatch[],
    learningRate: number,
    step = this.steps,
  ): { loss: number; correct: number } {
    this.steps = step + 1;
    this.optimizer.setLearningRate?.(learningRate);
    this.optimizer.learningRate = learningRate;
    let sums: tf.NamedTensorMap = {};
    let lossSum = 0;
    let correct = 0;
    let sampleCount = 0;
    for (const batch of batches) {
      const { rows } = batch;
      const samples = batch.samples ?? Array.from({ length: rows }, (_, i) => sampleCount + i);
      const result = this.gradients(batch, { step, samples });
      sampleCount += rows;
      lossSum += result.loss * rows;
      correct += result.correct;
      const old = sums;
      sums = mapValues(result.gradients, (name, gradient) =>
        name in old ? tf.add(old[name], gradient) : gradient.clone(),
      );
      tf.dispose([result.gradients, old]);
    }
    const means = mapValues(sums, (_, sum) => tf.div(sum, batches.length));
    this.optimizer.applyGradients(means);
    tf.dispose([sums, means]);
    return { loss: lossSum / sampleCount, correct };
  }

  parameters(): NamedArray[] {
    return [...this.variables].map(([name, variable]) => ({
      name,
      shape: variable.shape,
      data: variable.dataSync<'float32'>().slice(),
    }));
  }

  /** Puts the parameters where another run has them; optimizer state stays. */
  setParameters(parameters: ReadonlyMap<string, Float32Array>): void {
    for (const [name, variable] of this.variables) {
      const values = tf.tensor(parameters.get(name)!, variable.shape, 'float32');
      variable.assign(values);
      values.dispose();
    }
  }

  /** Class probabilities [rows, classes], as after training: moving statistics, no dropout. */
  predict(inputs: Float32Array, rows: number): Float32Array {
    return tf.tidy(() =>
      tf
        .softmax(
          this.logits(this.tensorOf(inputs, rows), {
            training: false,
            step: 0,
            samples: [],
            onMoments: () => undefined,
          }),
        )
        .dataSync<'float32'>()
        .slice(),
    );
  }

  dispose(): void {
    this.variables.forEach((variable) => variable.dispose());
    this.optimizer.dispose();
  }

  /** Gradients of the mean loss of a micro-batch; moves the moving statistics. */
  private gradients(
    { inputs, labels, rows }: ReferenceBatch,
    at: Pick<Pass, 'step' | 'samples'>,
  ): { gradients: tf.NamedTensorMap; loss: number; correct: number } {
    const moments: Moments[] = [];
    let correct = 0;
    const lossOf = (): tf.Scalar => {
      const logits = this.logits(this.tensorOf(inputs, rows), {
        ...at,
        training: true,
        onMoments: (layer, mean, variance) => moments.push({ layer, mean, variance }),
      });
      const truth = tf.tensor1d(Array.from(labels), 'int32');
      correct = tf.sum(tf.equal(tf.argMax(logits, 1), truth)).dataSync()[0];
      const onehot = tf.oneHot(truth, logits.shape[1]);
      return tf.neg(tf.mean(tf.sum(tf.mul(onehot, tf.logSoftmax(logits)), 1)));
    };
    const trained = [...this.variables.values()].filter(({ trainable }) => trainable);
    const { value, grads: gradients } = tf.variableGrads(lossOf, trained);
    const loss = value.dataSync()[0];
    value.dispose();
    this.move(moments);
    return { gradients, loss, correct };
  }

  /** Moving statistics, once for every micro-batch, as tfjs-layers moves them. */
  private move(moments: readonly Moments[]): void {
    tf.tidy(() => {
      for (const { layer, mean, variance } of moments) {
        const { momentum } = this.model.layers.find(({ name }) => name === layer) as BatchNormalizationSpec;
        const towards = (name: string, value: tf.Tensor) => {
          const moving = this.variables.get(`${layer}/${name}`)!;
          moving.assign(tf.sub(moving, tf.mul(tf.sub(moving, value), 1 - momentum)));
        };
        towards('moving_mean', mean);
        towards('moving_variance', variance);
      }
    });
    for (const { mean, variance } of moments) tf.dispose([mean, variance]);
  }

  private tensorOf(inputs: Float32Array, rows: number): tf.Tensor {
    return tf.tensor(inputs.slice(), [rows, ...this.model.inputShape], 'float32');
  }

  private logits(x: tf.Tensor, pass: Omit<Pass, 'parameter' | 'seed' | 'parts'>): tf.Tensor2D {
    const outputs = new Map([['input', x]]);
    const whole = {
      ...pass,
      seed: this.seed,
      parts: this.parts,
      parameter: (name: string) => this.variables.get(name)!,
    };
    let before = 'input';
    for (const spec of this.model.layers) {
      const inputs = (spec.inputs ?? [before]).map((name) => outputs.get(name)!);
      outputs.set(spec.name, runLayer(spec, inputs, whole));
      before = spec.name;
    }
    return outputs.get(before) as tf.Tensor2D;
  }
}

function mapValues(
  map: tf.NamedTensorMap,
  make: (name: string, tensor: tf.Tensor) => tf.Tensor,
): tf.NamedTensorMap {
  return Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, make(name, tensor)]));
}
