import fc from 'fast-check';
import { layerNodes } from '../../client/model/layer-nodes.ts';
import type { TensorShape } from '../../client/model/graph.ts';
import type { Activation, LayerSpec, ModelSpec, Pair } from '../../shared/model.ts';
import { model } from './specs.ts';

/** Random small models over all kinds of layers: as choices, which are read as far as they fit, so that they shrink well. */

/** What a choice may become; `residual` is a branch and an add. */
const KINDS = [
  'dense',
  'dense',
  'dense',
  'dense',
  'conv2d',
  'conv2d',
  'conv2d',
  'conv2d',
  'conv2d',
  'depthwiseConv2d',
  'pooling',
  'pooling',
  'globalAveragePooling2d',
  'flatten',
  'reshape',
  'activation',
  'leakyRelu',
  'dropout',
  'batchNormalization',
  'batchNormalization',
  'layerNormalization',
  'softmax',
  'residual',
  'residual',
] as const;

interface Choice {
  kind: (typeof KINDS)[number];
  units: number;
  size: Pair;
  strides: Pair;
  isSame: boolean;
  flag: boolean;
  other: boolean;
  pick: number;
}

/** `smooth`: no kinks, so that rounding does not grow. */
export type Smoothness = 'smooth' | 'kinked';

const side = fc.integer({ min: 1, max: 3 });

const choiceArbitrary: fc.Arbitrary<Choice> = fc.record({
  kind: fc.constantFrom(...KINDS),
  units: fc.integer({ min: 2, max: 7 }),
  size: fc.tuple(side, side),
  strides: fc.tuple(fc.integer({ min: 1, max: 2 }), fc.integer({ min: 1, max: 2 })),
  isSame: fc.boolean(),
  flag: fc.boolean(),
  other: fc.boolean(),
  pick: fc.nat(11),
});

const inputArbitrary: fc.Arbitrary<number[]> = fc.oneof(
  { weight: 2, arbitrary: fc.tuple(fc.integer({ min: 3, max: 10 })) },
  {
    weight: 3,
    arbitrary: fc.tuple(
      fc.integer({ min: 2, max: 8 }),
      fc.integer({ min: 2, max: 8 }),
      fc.integer({ min: 1, max: 4 }),
    ),
  },
);

export const CLASSES = 3;

export const modelArbitrary = (smoothness: Smoothness): fc.Arbitrary<ModelSpec> =>
  fc
    .record({
      inputShape: inputArbitrary,
      choices: fc.array(
        fc.record({ choice: choiceArbitrary, branch: fc.array(choiceArbitrary, { maxLength: 2 }) }),
        { minLength: 1, maxLength: 8, size: 'max' },
      ),
      isMean: fc.boolean(),
      useBias: fc.boolean(),
    })
    .map(({ inputShape, choices, isMean, useBias }) => {
      const builder = new ModelBuilder(inputShape, smoothness);
      for (const { choice, branch } of choices) builder.take(choice, branch);
      return builder.finish(isMean, useBias);
    });

type Shape = Omit<TensorShape, 'space'>;

interface Output {
  name: string;
  tensor: Shape;
}

class ModelBuilder {
  readonly #layers: LayerSpec[] = [];
  readonly #outputs: Output[];
  #current: Output;

  constructor(
    private readonly inputShape: number[],
    private readonly smoothness: Smoothness,
  ) {
    const units = inputShape[inputShape.length - 1];
    const outer = inputShape.slice(0, -1).reduce((product, extent) => product * extent, 1);
    this.#current = { name: 'input', tensor: { shape: inputShape, units, outer, inner: 1 } };
    this.#outputs = [this.#current];
  }

  take(choice: Choice, branch: readonly Choice[]): void {
    if (choice.kind === 'residual') this.#residual(choice, branch);
    else this.#append(this.#layer(choice, this.#current));
  }

  finish(isMean: boolean, useBias: boolean): ModelSpec {
    const name = 'end';
    if (this.#current.tensor.shape.length === 2) {
      const { units, outer } = this.#current.tensor;
      this.#append({ kind: 'reshape', name: 'image', shape: [outer, 1, units * this.#current.tensor.inner] });
    }
    if (this.#current.tensor.shape.length === 3) {
      this.#append(
        isMean ? { kind: 'globalAveragePooling2d', name: 'mean' } : { kind: 'flatten', name: 'flat' },
      );
    }
    this.#append({ kind: 'dense', name, units: CLASSES, activation: 'linear', useBias });
    return model(this.inputShape, this.#layers);
  }

  /** Appends a layer that reads the current output, where it fits. */
  #append(spec: LayerSpec | null): boolean {
    const output = spec && outputOf(spec, [this.#current.tensor]);
    if (!output) return false;
    this.#layers.push({ ...spec, inputs: [this.#current.name] });
    this.#current = { name: spec.name, tensor: output };
    this.#outputs.push(this.#current);
    return true;
  }

  /** A branch from an earlier output, brought to the current one's shape where that is possible, and added to it. */
  #residual(choice: Choice, branch: readonly Choice[]): void {
    const main = this.#current;
    const count = this.#layers.length;
    const outputCount = this.#outputs.length;
    this.#current = this.#outputs[choice.pick % outputCount];
    for (const step of branch)
      this.#append(step.kind === 'residual' ? null : this.#layer(step, this.#current));
    if (!isSame(main.tensor, this.#current.tensor)) this.#append(this.#projection(main.tensor, choice));
    if (isSame(main.tensor, this.#current.tensor)) {
      const name = this.#named('add');
      this.#layers.push({ kind: 'add', name, inputs: [main.name, this.#current.name] });
      this.#current = { name, tensor: main.tensor };
      this.#outputs.push(this.#current);
      return;
    }
    this.#layers.length = count;
    this.#outputs.length = outputCount;
    this.#current = main;
  }

  #projection({ shape, units, inner }: Shape, { flag }: Choice): LayerSpec | null {
    const name = this.#named('projection');
    const common = { name, units, activation: 'linear', useBias: flag } as const;
    if (inner !== 1) return null;
    if (shape.length === 1) return { ...common, kind: 'dense' };
    return { ...common, kind: 'conv2d', kernelSize: [1, 1], strides: [1, 1], padding: 'same' };
  }

  #named = (kind: string): string => `${kind}${this.#layers.length + 1}`;

  #layer(choice: Choice, { tensor }: Output): LayerSpec | null {
    const { kind, units, size, strides, flag, other, pick } = choice;
    const name = this.#named(kind);
    const padding = choice.isSame ? 'same' : 'valid';
    const channels = tensor.shape[tensor.shape.length - 1];
    const trained = { name, activation: this.#activation(pick), useBias: flag };
    switch (kind) {
      case 'dense':
        return { kind, units, ...trained };
      case 'conv2d':
        if (tensor.shape.length === 1) return { kind: 'dense', units, ...trained };
        return { kind, units: Math.min(units, 5), kernelSize: size, strides, padding, ...trained };
      case 'depthwiseConv2d':
        return { kind, multiplier: other ? 2 : 1, kernelSize: size, strides, padding, ...trained };
      case 'pooling': {
        const isMax = this.smoothness === 'kinked' && flag;
        return { kind: isMax ? 'maxPooling2d' : 'averagePooling2d', name, poolSize: size, strides, padding };
      }
      case 'globalAveragePooling2d':
      case 'flatten':
        return { kind, name };
      case 'reshape':
        return { kind, name, shape: reshaped(tensor.shape, pick) };
      case 'activation':
        return { kind, name, activation: trained.activation };
      case 'leakyRelu':
        return this.smoothness === 'kinked' ? { kind, name, alpha: 0.1 + pick / 20 } : null;
      case 'dropout':
        return { kind, name, rate: 0.1 + pick / 40 };
      case 'batchNormalization':
        return {
          kind,
          name,
          momentum: [0.5, 0.9, 0.99][pick % 3],
          epsilon: 1e-3,
          center: flag,
          scale: other,
        };
      // Of one or two numbers, little or nothing is left by these, and what is left is rounding.
      case 'layerNormalization':
        return channels < 3 ? null : { kind, name, epsilon: 1e-2, center: flag, scale: other };
      case 'softmax':
        return channels < 3 ? null : { kind, name };
      case 'residual':
        return null;
    }
  }

  #activation(pick: number): Activation {
    const smooth = ['linear', 'tanh', 'sigmoid'] as const;
    return this.smoothness === 'kinked' && pick % 2 === 0 ? 'relu' : smooth[pick % 3];
  }
}

/** What a layer gives; null where it does not fit its inputs. */
function outputOf(spec: LayerSpec, inputs: readonly Shape[]): Shape | null {
  try {
    return layerNodes(
      spec,
      inputs.map((tensor) => ({ ...tensor, space: 0 })),
    ).at(-1)!.output;
  } catch {
    return null;
  }
}

const isSame = (a: Shape, b: Shape): boolean =>
  a.shape.join() === b.shape.join() && a.units === b.units && a.outer === b.outer;

/** Some other shape of as many numbers: one that keeps each unit's numbers together, or one that does not. */
function reshaped(shape: number[], pick: number): number[] {
  const numbers = shape.reduce((product, extent) => product * extent, 1);
  const last = shape[shape.length - 1];
  const options = [
    [numbers / last, 1, last],
    [numbers / last, last],
    [1, numbers / last, last],
    [numbers],
    ...(numbers % 2 === 0 ? [[numbers / 2, 1, 2]] : []),
    ...(numbers % 3 === 0 ? [[1, numbers / 3, 3]] : []),
  ];
  return options[pick % options.length];
}
