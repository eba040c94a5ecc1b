import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as v from 'valibot';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph, parameterCount } from '../../client/model/graph.ts';
import { readModel } from '../../client/model/models.ts';
import { RunConfigSchema } from '../../shared/schema/config.ts';

const read = (text: string) => readModel(text, 784, 10);

describe('models by name', () => {
  const parameters: [text: string, count: number][] = [
    ['mlp', 784 * 256 + 256 + 256 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10],
    ['mlp:512-256', 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10],
    ['cnn', 25 * 8 + 8 + 25 * 8 * 16 + 16 + 784 * 64 + 64 + 64 * 10 + 10],
    ['cnn:16-32-128', 25 * 16 + 16 + 25 * 16 * 32 + 32 + 7 * 7 * 32 * 128 + 128 + 1280 + 10],
    ['resnet', 19_954],
  ];
  for (const [text, count] of parameters) {
    it(`${text} has ${count} parameters and is fit for a run`, () => {
      const model = read(text);
      assert.equal(model.name, text);
      const { nodes } = modelGraph(model);
      assert.equal(parameterCount(nodes), count);
      assert.deepEqual(nodes.at(-1)!.output.shape, [10]);
      assert.ok(v.is(RunConfigSchema, runConfig({ model: text })));
    });
  }

  it('names layers by kind and number', () => {
    assert.deepEqual(
      read('cnn').layers.map(({ name }) => name),
      ['conv2d_1', 'max_pooling2d_1', 'conv2d_2', 'max_pooling2d_2', 'flatten_1', 'dense_1', 'dense_2'],
    );
  });

  it('the residual network adds what a block computes to what it read', () => {
    const { layers } = read('resnet');
    const adds = layers.filter(({ kind }) => kind === 'add').map(({ inputs }) => inputs);
    assert.deepEqual(adds, [
      ['batch_normalization_3', 'max_pooling2d_1'],
      ['batch_normalization_5', 'conv2d_6'],
      ['batch_normalization_7', 'conv2d_9'],
    ]);
    const projection = layers.find(({ name }) => name === 'conv2d_6')!;
    assert.deepEqual(projection.inputs, ['activation_3']);
    assert.deepEqual('strides' in projection && projection.strides, [2, 2]);
    // Runs of a few hundred steps must not cost more than the cnn's.
    const operations = (text: string) => modelGraph(read(text)).nodes.reduce((sum, n) => sum + n.operations, 0);
    assert.ok(operations('resnet') < operations('cnn'));
  });

  for (const text of ['', 'vgg', 'mlp:', 'mlp:0', 'mlp:1-', 'cnn:1', 'cnn:1-2', 'cnn:1-2-3-4', 'cnn:0-1-1', 'resnet:8']) {
    it(`refuses "${text}" and lists what there is`, () => {
      assert.throws(() => read(text), {
        message: new RegExp(`^There is no model "${text}"\\. Use mlp, mlp:512-256 .*cnn:16-32-128 .*resnet\\.$`),
      });
    });
  }

  it('refuses images where the samples are none', () => {
    assert.throws(() => readModel('cnn', 12, 3), { message: /square images, and samples of 12 numbers are none/ });
    assert.equal(readModel('mlp', 12, 3).inputShape[0], 12);
  });
});

describe('a configuration', () => {
  it('has a learning rate that fits the kind of model and the optimizer', () => {
    const rate = (...[model, optimizer]: [string, 'adam' | 'sgd']) =>
      runConfig({ model, optimizer }).optimizer.learningRate;
    assert.deepEqual(
      ['mlp', 'cnn', 'resnet'].map((model) => rate(model, 'adam')),
      [3e-3, 5e-3, 1e-2],
    );
    assert.equal(rate('cnn', 'sgd'), 0.1);
    assert.equal(runConfig({ model: 'cnn', learningRate: 0.5 }).optimizer.learningRate, 0.5);
  });

  it('leaves the partition to the planner, and takes a model as data', () => {
    const config = runConfig();
    assert.deepEqual([config.partition, config.grid, config.shares], ['auto', null, 'measured']);
    const model = read('mlp:32');
    const chosen = runConfig({ model, task: 'fashion', partition: 'hybrid', grid: { stages: 2, lanes: 3 } });
    assert.equal(chosen.model, model);
    assert.deepEqual([chosen.task, chosen.partition, chosen.grid], ['fashion', 'hybrid', { stages: 2, lanes: 3 }]);
  });
});
