import { expect } from '@open-wc/testing';
import type { WorkerCompute } from '../../../client/engine/worker-compute.ts';
import type { LayerSpec, ModelSpec } from '../../../shared/model.ts';
import {
  batch,
  blockOf,
  layersIn,
  newCompute,
  optimizer,
  parametersOf,
  readAll,
  relative,
} from '../../engine/support.ts';
import { conv, dense, depthwiseConv } from '../../support/specs.ts';
import { inWorker } from './computes.ts';

const ROWS = 5;
const window = { poolSize: [3, 2], strides: [2, 2], padding: 'same' } as const;
const normalizing = { epsilon: 1e-3, center: true, scale: true };

/** Odd extents everywhere, so that packed textures have padding on all edges. */
const IMAGES: Record<string, LayerSpec[]> = {
  convolution: [conv('c', 5, 3, { activation: 'relu' })],
  'strided convolution': [conv('c', 3, 3, { strides: [2, 1], padding: 'valid', activation: 'tanh' })],
  'pointwise convolution': [conv('c', 5, 1)],
  'depthwise convolution': [depthwiseConv('c', 3, 2, { activation: 'sigmoid' })],
  'max pooling': [{ kind: 'maxPooling2d', name: 'p', ...window, poolSize: [3, 2], strides: [2, 2] }],
  'average pooling': [{ kind: 'averagePooling2d', name: 'p', ...window, poolSize: [3, 2], strides: [2, 2] }],
  'global average pooling': [{ kind: 'globalAveragePooling2d', name: 'p' }],
  'batch normalization': [{ kind: 'batchNormalization', name: 'n', momentum: 0.9, ...normalizing }],
  'layer normalization': [{ kind: 'layerNormalization', name: 'n', ...normalizing }],
  softmax: [{ kind: 'softmax', name: 's' }],
  'leaky ReLU': [{ kind: 'leakyRelu', name: 'l', alpha: 0.2 }],
  dropout: [{ kind: 'dropout', name: 'd', rate: 0.4 }],
  'convolution of a ReLU': [conv('c', 5, 3, { activation: 'relu' }), conv('e', 4, 3)],
  'max pooling of a ReLU': [
    conv('c', 5, 3, { activation: 'relu' }),
    { kind: 'maxPooling2d', name: 'p', ...window, poolSize: [3, 2], strides: [2, 2] },
  ],
  'dense layers with ReLU': [
    { kind: 'flatten', name: 'f' },
    dense('c', 7, { activation: 'relu' }),
    dense('e', 5, { activation: 'relu' }),
    dense('g', 3),
  ],
  'a residual connection': [
    conv('a', 3, 3, { activation: 'tanh' }),
    conv('b', 3, 3),
    { kind: 'add', name: 'sum', inputs: ['b', 'a'] },
  ],
};

const quartering: LayerSpec = {
  kind: 'maxPooling2d',
  name: 'p',
  poolSize: [2, 2],
  strides: [2, 2],
  padding: 'valid',
};

/** Even widths and channels take shorter ways. */
const EVEN_IMAGES: Record<string, LayerSpec[]> = {
  'convolution of pairs of pixels': [conv('c', 5, 3, { activation: 'relu' })],
  'convolution of pairs of pixels without padding': [conv('c', 4, 5, { padding: 'valid' })],
  'convolution of pairs of pixels by an even window': [
    { ...conv('c', 6, 3, { activation: 'tanh' }), kernelSize: [2, 4] } as LayerSpec,
  ],
  'convolution of pairs of pixels of a ReLU': [conv('c', 5, 3, { activation: 'relu' }), conv('e', 4, 3)],
  'max pooling of quarters': [quartering],
  'max pooling of quarters of a ReLU': [conv('c', 5, 3, { activation: 'relu' }), quartering],
  'max pooling of quarters of equals': [{ kind: 'activation', name: 'r', activation: 'relu' }, quartering],
};

/** A kernel's taps, and runs of them, begin within a texel where channels are odd. */
const ODD_CHANNELS: Record<string, LayerSpec[]> = {
  convolution: [conv('c', 5, 3, { activation: 'relu' })],
  'convolution by a wide window': [conv('c', 3, 5)],
  'convolution without padding': [conv('c', 4, 5, { padding: 'valid', activation: 'tanh' })],
  'convolution by an even window': [{ ...conv('c', 3, 3), kernelSize: [2, 4] } as LayerSpec],
};

interface Image {
  side: [height: number, width: number];
  channels: number;
}

const ODD: Image = { side: [7, 5], channels: 3 };
const EVEN: Image = { side: [8, 10], channels: 4 };
/** With these rows there are more pixels than a texture has lines; rows of an image lie across two lines, or whole in one. */
const TALL: Record<string, Image> = {
  'tall matrices': { side: [128, 90], channels: 2 },
  'tall matrices of whole rows': { side: [160, 72], channels: 3 },
};

const CASES = [
  ...Object.entries(IMAGES).map(([name, layers]) => ({ name, layers, image: ODD })),
  ...Object.entries(EVEN_IMAGES).map(([name, layers]) => ({ name, layers, image: EVEN })),
  ...[1, 3].flatMap((channels) =>
    Object.entries(ODD_CHANNELS).map(([name, layers]) => ({
      name: `${name} of ${channels} channels`,
      layers,
      image: { ...EVEN, channels },
    })),
  ),
  ...Object.entries(TALL).map(([name, image]) => ({
    name: `convolution and pooling of ${name}`,
    layers: [conv('c', 2, 3, { activation: 'relu' }), quartering],
    image,
  })),
];

const modelWith = (layers: LayerSpec[], { side, channels }: Image): ModelSpec => ({
  name: 'one',
  inputShape: [...side, 3],
  layers: [
    // Its own gradient is wanted, so it is not the first.
    conv('before', channels, 1, { activation: 'tanh' }),
    ...layers,
    { kind: 'flatten', name: 'flat' },
    dense('logits', 3),
  ],
  loss: 'softmaxCrossEntropy',
});

describe('layers on WebGL', () => {
  let compute: WorkerCompute;
  before(async () => {
    compute = await inWorker();
  });
  after(() => compute.close());

  for (const { name, layers, image } of CASES) {
    it(`${name}: the CPU's gradients, updates and importance, and nothing left over`, async () => {
      const withGlobal = layers[0].kind === 'globalAveragePooling2d';
      const model = modelWith(layers, image);
      const batchOf = (key: number) => batch(flat(model), ROWS, key);
      const config = optimizer('sgd', 0.1);
      const results: Float32Array[][] = [];
      const cpu = newCompute();
      const block = blockOf(
        withGlobal ? { ...model, layers: model.layers.filter(({ kind }) => kind !== 'flatten') } : model,
        config,
        { rows: ROWS },
      );
      for (const device of [compute, cpu]) {
        await device.load(block, []);
        const { tensors } = await device.memory();
        for (let step = 0; step < 2; step++) {
          for (let micro = 0; micro < 2; micro++) {
            const { inputs, labels, rows } = batchOf(step * 2 + micro);
            const task = { segment: 0, micro, step, rows, input: inputs, labels, training: true };
            await device.forward({ ...task, measure: micro === 0 });
            await device.backward({ segment: 0, micro });
          }
          await device.step({ counted: 2, learningRate: 0.1 });
        }
        const scores = await device.importance();
        expect((await device.memory()).tensors - scores.length).to.be.at.most(tensors + 2);
        const { inputs, labels, rows } = batchOf(9);
        const { metrics } = await device.forward({
          segment: 0,
          micro: 0,
          step: 0,
          rows,
          input: inputs,
          labels,
          training: false,
        });
        const states = parametersOf(await readAll([device], layersIn(block)));
        results.push([
          Float32Array.of(metrics!.lossSum),
          ...states.map(({ data }) => data),
          ...scores.map((s) => s.scores),
        ]);
      }
      expect(results[0].length).to.equal(results[1].length);
      results[0].forEach((array, i) =>
        expect(relative(array, results[1][i]), `array ${i}`).to.be.below(2e-4),
      );
      cpu.close();
    });
  }

  for (const rows of [4, 5]) {
    it(`weight gradients of six micro-batches of ${rows} samples at once: the CPU's updates`, async () => {
      const model = modelWith([conv('c', 2, 3, { activation: 'relu' })], EVEN);
      const block = blockOf(model, optimizer('sgd', 0.1), { rows });
      // More than one program sums at once.
      const micros = [0, 1, 2, 3, 4, 5];
      const results: Float32Array[][] = [];
      const cpu = newCompute();
      for (const device of [compute, cpu]) {
        await device.load(block, []);
        for (const micro of micros) {
          const { inputs, labels } = batch(flat(model), rows, micro);
          const task = { segment: 0, micro, step: 0, rows, input: inputs, labels, training: true };
          await device.forward(task);
          await device.backward({ segment: 0, micro, defer: true });
        }
        await device.weights({ segment: 0, micros });
        await device.step({ counted: micros.length, learningRate: 0.1 });
        results.push(parametersOf(await readAll([device], layersIn(block))).map(({ data }) => data));
      }
      results[0].forEach((array, i) =>
        expect(relative(array, results[1][i]), `array ${i}`).to.be.below(2e-4),
      );
      cpu.close();
    });
  }
});

/** As many inputs in a row. */
const flat = ({ inputShape }: ModelSpec): ModelSpec => ({
  name: 'flat',
  inputShape: [inputShape.reduce((numbers, extent) => numbers * extent, 1)],
  layers: [dense('logits', 3)],
  loss: 'softmaxCrossEntropy',
});
