import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as tf from '@tensorflow/tfjs';
import { importModel, weightFiles } from '../../client/model/import-model.ts';
import { modelGraph } from '../../client/model/graph.ts';

const TASK = { inputs: 784, classes: 10 };
const L = tf.layers;

/** What `model.save` gives: the JSON file, and the weights in one file. */
async function saved(model: tf.LayersModel): Promise<{ json: Json; files: Map<string, Uint8Array> }> {
  let found: { json: Json; files: Map<string, Uint8Array> } | null = null;
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      const { modelTopology, weightSpecs, weightData } = artifacts;
      const json = { modelTopology, weightsManifest: [{ paths: ['w.bin'], weights: weightSpecs }] } as unknown as Json;
      const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
      found = { json: JSON.parse(JSON.stringify(json)) as Json, files: new Map([['w.bin', bytes]]) };
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } });
    }),
  );
  return found!;
}

interface Json {
  modelTopology: { class_name: string; config: { layers: { class_name: string; config: Record<string, unknown> }[] } };
  weightsManifest: { paths: string[]; weights: Record<string, unknown>[] }[];
}

function everything(): tf.LayersModel {
  const input = tf.input({ shape: [28, 28, 1], name: 'input' });
  const first = L.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', useBias: false, name: 'a/b' });
  const start = first.apply(input) as tf.SymbolicTensor;
  let x = L.batchNormalization({ momentum: 0.9 }).apply(start);
  x = L.reLU().apply(x);
  x = L.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 1, padding: 'same', activation: 'tanh' }).apply(x);
  x = L.leakyReLU({ alpha: 0.2 }).apply(x);
  x = L.add().apply([x as tf.SymbolicTensor, start]);
  x = L.layerNormalization().apply(x);
  x = L.maxPooling2d({ poolSize: 2 }).apply(x);
  x = L.averagePooling2d({ poolSize: 3, strides: 1 }).apply(x);
  x = L.activation({ activation: 'sigmoid' }).apply(x);
  x = L.reshape({ targetShape: [25, -1] }).apply(x);
  x = L.reshape({ targetShape: [5, 5, 4] }).apply(x);
  x = L.globalAveragePooling2d({}).apply(x);
  x = L.dropout({ rate: 0.25 }).apply(x);
  x = L.dense({ units: 10, name: 'scores' }).apply(x);
  x = L.softmax().apply(x);
  return tf.model({ inputs: input, outputs: x as tf.SymbolicTensor });
}

const sequential = (...layers: tf.layers.Layer[]) => tf.sequential({ layers });
const dense = (units: number, more: object = {}) => L.dense({ units, ...more });

describe('importing a model that tfjs saved', () => {
  it('reads every kind of layer, in the order and with the options of the file', async () => {
    const { json, files } = await saved(everything());
    const { model, weights } = importModel(json, files, TASK);
    assert.deepEqual(
      model.layers.map(({ kind }) => kind),
      [
        ...['conv2d', 'batchNormalization', 'activation', 'depthwiseConv2d', 'leakyRelu', 'add'],
        ...['layerNormalization', 'maxPooling2d', 'averagePooling2d', 'activation', 'reshape', 'reshape'],
        ...['globalAveragePooling2d', 'dropout', 'dense'],
      ],
    );
    const [conv, bn, , depthwise, leaky, add] = model.layers;
    const { name, ...options } = conv;
    assert.equal(name, 'a_b');
    assert.deepEqual(options, {
      kind: 'conv2d',
      units: 4,
      kernelSize: [3, 3],
      strides: [2, 2],
      padding: 'same',
      activation: 'linear',
      useBias: false,
    });
    assert.ok('momentum' in bn && bn.momentum === 0.9 && bn.epsilon === 1e-3 && bn.center && bn.scale);
    assert.ok('multiplier' in depthwise && depthwise.multiplier === 1 && depthwise.activation === 'tanh');
    assert.ok('alpha' in leaky && leaky.alpha === 0.2);
    assert.deepEqual(add.inputs, [leaky.name, 'a_b']);
    assert.deepEqual(model.layers.find(({ kind }) => kind === 'reshape'), {
      kind: 'reshape',
      name: model.layers[10].name,
      shape: [25, 4],
    });
    const parameters = modelGraph(model).nodes.flatMap((node) => node.parameters);
    assert.equal(parameters.length, 11);
    assert.deepEqual(
      weights!.map(({ name: parameter, shape }) => [parameter, shape]),
      parameters.map(({ name: parameter, shape }) => [parameter, shape]),
    );
  });

  it('gives each parameter its own numbers, in the shape that the graph has', async () => {
    const original = sequential(
      L.flatten({ inputShape: [28, 28, 1] }),
      dense(6, { activation: 'relu', biasInitializer: 'ones', name: 'one' }),
      dense(10, { activation: 'softmax', name: 'two' }),
    );
    const { json, files } = await saved(original);
    assert.deepEqual(weightFiles(json), ['w.bin']);
    const { model, weights } = importModel(json, files, TASK);
    assert.equal(model.layers.at(-1)!.kind === 'dense' && model.layers.at(-1)!.name, 'two');
    const expected = original.getWeights();
    for (const [i, { name, shape, data }] of weights!.entries()) {
      assert.equal(name, ['one/kernel', 'one/bias', 'two/kernel', 'two/bias'][i]);
      assert.deepEqual(shape, expected[i].shape);
      assert.deepEqual(data, await expected[i].data());
    }
  });

  it('does without weights where the file lists none', async () => {
    const { json } = await saved(sequential(dense(10, { inputShape: [784] })));
    assert.deepEqual(weightFiles({ ...json, weightsManifest: [] }), []);
    for (const plain of [json.modelTopology, { ...json, weightsManifest: [] }]) {
      const { model, weights } = importModel(plain, new Map(), TASK);
      assert.equal(weights, null);
      assert.deepEqual(model.inputShape, [784]);
    }
  });

  it('reads the spelling of getConfig as well', async () => {
    const original = everything();
    const { json, files } = await saved(original);
    const camel = JSON.parse(JSON.stringify({ className: 'Model', config: original.getConfig() })) as unknown;
    assert.deepEqual(importModel(camel, files, TASK).model, importModel(json, files, TASK).model);
  });

  it('takes a softmax off wherever it ends the model', async () => {
    for (const end of [L.softmax(), L.activation({ activation: 'softmax' })]) {
      const { json, files } = await saved(sequential(dense(10, { inputShape: [784] }), end));
      assert.deepEqual(
        importModel(json, files, TASK).model.layers.map(({ kind }) => kind),
        ['dense'],
      );
    }
  });

  it('takes images without a channel where they are flattened at once', async () => {
    const { json, files } = await saved(sequential(L.flatten({ inputShape: [28, 28] }), dense(10)));
    assert.deepEqual(importModel(json, files, TASK).model.inputShape, [28, 28, 1]);
    const rows = await saved(sequential(dense(3, { inputShape: [28, 28] }), L.flatten(), dense(10)));
    assert.throws(() => importModel(rows.json, rows.files, TASK), { message: /samples of shape \[28, 28\]/ });
  });
});

/** A model as the Keras converter writes it. */
const keras = (layers: object[], more: object = {}) => ({
  format: 'layers-model',
  generatedBy: 'keras v2.15.0',
  convertedBy: 'TensorFlow.js Converter v4.22.0',
  modelTopology: {
    keras_version: '2.15.0',
    backend: 'tensorflow',
    model_config: { class_name: 'Sequential', config: { name: 'sequential', layers } },
  },
  ...more,
});
const entry = (class_name: string, config: object) => ({
  class_name,
  config: { name: class_name.toLowerCase(), trainable: true, dtype: 'float32', ...config },
});
const inputLayer = entry('InputLayer', { batch_input_shape: [null, 28, 28, 1], sparse: false, name: 'input' });
const scores = [entry('Flatten', {}), entry('Dense', { units: 10, activation: 'softmax', name: 'out' })];

describe('importing a model that the Keras converter wrote', () => {
  const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

  it('reads it, its weights in shards', () => {
    const json = keras([entry('InputLayer', { batch_input_shape: [null, 784] }), scores[1]], {
      weightsManifest: [
        {
          paths: ['group1-shard1of2.bin', 'group1-shard2of2.bin'],
          weights: [
            { name: 'sequential/out/kernel', shape: [784, 10], dtype: 'float32' },
            { name: 'sequential/out/bias', shape: [10], dtype: 'float32' },
          ],
        },
      ],
    });
    const all = floats(...Array.from({ length: 7850 }, (_, i) => i));
    const files = new Map([
      ['group1-shard1of2.bin', all.slice(0, 4097)],
      ['group1-shard2of2.bin', all.slice(4097)],
    ]);
    const { weights } = importModel(json, files, TASK);
    assert.deepEqual(weights![0].data.at(-1), 7839);
    assert.deepEqual([...weights![1].data], [7840, 7841, 7842, 7843, 7844, 7845, 7846, 7847, 7848, 7849]);
  });

  it('reads what Keras 3 writes', () => {
    const history = (name: string) => ({ class_name: '__keras_tensor__', config: { keras_history: [name, 0, 0] } });
    const dtype = { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' } };
    const layer = (class_name: string, name: string, config: object, args: unknown[]) => ({
      class_name,
      name,
      config: { name, trainable: true, dtype, ...config },
      inbound_nodes: args.length > 0 ? [{ args, kwargs: {} }] : [],
    });
    const json = {
      class_name: 'Functional',
      config: {
        name: 'functional',
        layers: [
          layer('InputLayer', 'pixels', { batch_shape: [null, 784] }, []),
          layer('Dense', 'a', { units: 10 }, [history('pixels')]),
          layer('Dense', 'b', { units: 10, activation: 'tanh' }, [history('a')]),
          layer('Add', 'sum', {}, [[history('a'), history('b')]]),
          layer('Dense', 'unused', { units: 3 }, [history('a')]),
        ],
        input_layers: ['pixels', 0, 0],
        output_layers: ['sum', 0, 0],
      },
    };
    const { layers } = importModel(json, new Map(), TASK).model;
    assert.deepEqual(
      layers.map(({ name, inputs }) => [name, inputs]),
      [
        ['a', undefined],
        ['b', undefined],
        ['sum', ['a', 'b']],
      ],
    );
  });

  const conv = (config: object) =>
    keras([inputLayer, entry('Conv2D', { filters: 4, kernel_size: [3, 3], ...config }), ...scores]);
  const dressed = (config: object) => keras([inputLayer, scores[0], entry('Dense', { units: 10, ...config })]);
  const between = (...layers: object[]) => keras([inputLayer, ...layers, ...scores]);
  const refusals: [what: string, json: unknown, words: RegExp][] = [
    ['no model', 17, /no saved model.*Sequential or a functional/],
    ['a graph model', { format: 'graph-model', modelTopology: {} }, /graph model, which can only be run/],
    ['a file without layers', { modelTopology: {} }, /no layers in it/],
    ['another class of model', { class_name: 'Siamese', config: { layers: [{}] } }, /class "Siamese"/],
    [
      'a class of layer',
      between(entry('LSTM', { units: 3 })),
      /^Layer lstm is of class LSTM, which is not supported: replace it or leave it out\. Supported: InputLayer, Dense, Conv2D, .*Softmax, Add\.$/,
    ],
    [
      'a class of layer, whatever samples it wants',
      keras([entry('LSTM', { units: 3, batch_input_shape: [null, 28, 28] }), ...scores]),
      /^Layer lstm is of class LSTM, which is not supported: replace it/,
    ],
    ['a model in a model', between(entry('Sequential', { layers: [] })), /Layer sequential is of class Sequential/],
    ['dilation', conv({ dilation_rate: [2, 2] }), /^Layer conv2d \(Conv2D\): a dilation_rate other than 1/],
    ['groups', conv({ groups: 2 }), /groups 2 is not supported: only 1 is/],
    ['channels first', conv({ data_format: 'channels_first' }), /data_format "channels_first".*"channels_last"/],
    ['causal padding', conv({ padding: 'causal' }), /padding "causal"/],
    ['an activation', conv({ activation: 'gelu' }), /activation "gelu" is not supported; supported: linear, relu/],
    ['a softmax inside', conv({ activation: 'softmax' }), /activation "softmax" is not supported here, only at the end/],
    [
      'a dense softmax inside',
      between(scores[0], entry('Dense', { name: 'mid', units: 10, activation: 'softmax' })),
      /softmax/,
    ],
    ['no filters', conv({ filters: 0 }), /filters must be a whole number from 1 to 65536, not 0/],
    ['a kernel that does not fit', conv({ kernel_size: [29, 29] }), /Layer conv2d: a window of 29 x 29 does not fit/],
    ['regularizers', dressed({ kernel_regularizer: { class_name: 'L2' } }), /kernel_regularizer .*leave it out/],
    ['constraints', dressed({ bias_constraint: { class_name: 'NonNeg' } }), /bias_constraint/],
    ['frozen layers', dressed({ trainable: false }), /Layer dense \(Dense\): it is frozen/],
    ['other numbers', dressed({ dtype: 'float16' }), /dtype "float16"/],
    [
      'a policy of other numbers',
      dressed({ dtype: { class_name: 'DTypePolicy', config: { name: 'mixed_float16' } } }),
      /dtype "mixed_float16"/,
    ],
    ['ReLU6', between(entry('ReLU', { max_value: 6 })), /Layer relu \(ReLU\): max_value 6/],
    ['another axis', between(entry('BatchNormalization', { axis: 1 })), /axis 1 is not supported: only the last/],
    ['a softmax over rows', between(entry('Softmax', { axis: 1 })), /Layer softmax \(Softmax\): axis 1/],
    ['a reshape', between(entry('Reshape', { target_shape: [5, -1] })), /Layer reshape \(Reshape\): shape .* cannot become/],
    ['two of a name', between(scores[0], entry('Flatten', {})), /Layer flatten \(Flatten\): .* another layer of that name/],
    ['no stated input', keras(scores), /Layer flatten \(Flatten\): the first layer must state the shape/],
    [
      'an open input',
      keras([entry('InputLayer', { batch_input_shape: [null, null, 28, 1] }), ...scores]),
      /its input has no fixed shape/,
    ],
    [
      'another input',
      keras([entry('InputLayer', { batch_input_shape: [null, 32, 32, 3] }), ...scores]),
      /samples of shape \[32, 32, 3\], but the task's are \[784\] or \[28, 28, 1\]: give its input one of these shapes\.$/,
    ],
    ['other classes', keras([inputLayer, scores[0], entry('Dense', { units: 5 })]), /gives 5 numbers .* 10 classes/],
    [
      'a model without weights',
      keras([inputLayer, entry('MaxPooling2D', { pool_size: [28, 1], strides: [28, 3] }), scores[0]]),
      /nothing to train/,
    ],
    ['an end that is no score', dressed({ activation: 'relu' }), /Layer dense ends the model.*no activation/],
  ];
  for (const [what, json, words] of refusals) {
    it(`refuses ${what}`, () => {
      assert.throws(
        () => importModel(json, new Map(), TASK),
        (error: Error) => {
          assert.match(error.message, words);
          assert.match(error.message, /[^.]\.$/);
          return true;
        },
      );
    });
  }

  it('refuses layers that are used twice, and ends that are not there', () => {
    const call = (name: string) => [[name, 0, 0, {}]];
    const model = (nodes: unknown[][], output = 'd', inputs: unknown[] = [['i', 0, 0]]) => ({
      class_name: 'Functional',
      config: {
        layers: [
          { ...entry('InputLayer', { batch_input_shape: [null, 784], name: 'i' }), inbound_nodes: [] },
          { ...entry('Dense', { units: 10, name: 'd' }), inbound_nodes: nodes },
        ],
        input_layers: inputs,
        output_layers: [[output, 0, 0]],
      },
    });
    const cases: [unknown, RegExp][] = [
      [model([call('i'), call('d')]), /Layer d \(Dense\): it is used more than once/],
      [model([call('i')], 'e'), /The output of the model reads e, which is not in the file/],
      [model([call('x')]), /Layer d reads x, which is not in the file/],
      [model([call('d')]), /Layer d reads what comes after it/],
      [model([call('i')], 'd', []), /This model has 0 inputs/],
      [model([[['i', 0, 1]]]), /what it reads cannot be understood/],
    ];
    assert.equal(importModel(model([call('i')]), new Map(), TASK).model.layers.length, 1);
    for (const [json, message] of cases) assert.throws(() => importModel(json, new Map(), TASK), { message });
  });

  it('refuses weights that are damaged, incomplete or of another kind', () => {
    const kernel = { name: 'out/kernel', shape: [784, 10], dtype: 'float32' };
    const bias = { name: 'out/bias', shape: [10], dtype: 'float32' };
    const all = floats(...Array.from({ length: 7850 }, () => 0.5));
    const read = (weights: object[], bytes: Uint8Array | null = all) =>
      importModel(
        keras([inputLayer, ...scores], { weightsManifest: [{ paths: ['w.bin'], weights }] }),
        new Map(bytes ? [['w.bin', bytes]] : []),
        TASK,
      );
    assert.equal(read([kernel, bias]).weights!.length, 2);
    const broken = all.slice();
    new Float32Array(broken.buffer)[7845] = NaN;
    const cases: [() => unknown, RegExp][] = [
      [() => read([kernel, bias], null), /in w\.bin, which is missing: it belongs beside model\.json/],
      [() => read([kernel, bias], all.slice(0, -1)), /w\.bin: the file ends within the weights out\/bias/],
      [() => read([kernel, bias], floats(...Array.from({ length: 7851 }, () => 0))), /4 bytes more than/],
      [() => read([kernel], all.slice(0, 31_360)), /no weights for out\/bias/],
      [() => read([kernel, { ...bias, name: 'other/bias' }]), /no weights for out\/bias/],
      [() => read([{ ...kernel, shape: [10, 784] }, bias]), /shape \[10, 784\], not \[784, 10\]/],
      [() => read([{ ...kernel, dtype: 'float16' }, bias]), /out\/kernel are of type "float16": only float32/],
      [() => read([{ ...kernel, quantization: { dtype: 'uint8' } }, bias]), /quantized/],
      [() => read([kernel, bias, { ...bias, name: 'x/y', shape: [0] }]), /weights x\/y belong to no layer/],
      [() => read([kernel, bias], broken), /out\/bias have numbers that are not finite/],
      [() => read([{ name: 'out/kernel' }]), /damaged at/],
    ];
    for (const [act, message] of cases) assert.throws(act, { message });
  });
});
