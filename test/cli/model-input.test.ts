import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { isModelFile } from '../../client/cli/model-input.ts';
import { parseSwarmOptions, type SwarmOptions } from '../../client/cli/swarm-options.ts';

const dir = mkdtempSync(join(tmpdir(), 'edgepipe-model-input-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const layers = [
  { class_name: 'Flatten', config: { name: 'flatten', batch_input_shape: [null, 28, 28, 1] } },
  { class_name: 'Dense', config: { name: 'hidden', units: 4, activation: 'relu' } },
  { class_name: 'Dense', config: { name: 'scores', units: 10, activation: 'softmax' } },
];
const arrays = [
  { name: 'hidden/kernel', shape: [784, 4] },
  { name: 'hidden/bias', shape: [4] },
  { name: 'scores/kernel', shape: [4, 10] },
  { name: 'scores/bias', shape: [10] },
].map((array) => ({ ...array, dtype: 'float32' }));
const lstm = { class_name: 'LSTM', config: { name: 'memory', units: 4, batch_input_shape: [null, 784] } };
const numbers = Float32Array.from({ length: 784 * 4 + 4 + 40 + 10 }, (_, i) => i);

function write(name: string, paths: string[] | null, content: object = {}): string {
  mkdirSync(join(dir, name), { recursive: true });
  const file = join(dir, name, 'model.json');
  const weightsManifest = paths ? [{ paths, weights: arrays }] : [];
  const modelTopology = { class_name: 'Sequential', config: { name: 'mine', layers } };
  writeFileSync(file, JSON.stringify({ modelTopology, weightsManifest, ...content }));
  return file;
}

function read(file: string): SwarmOptions {
  const parsed = parseSwarmOptions(['--model', file]);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.options;
}

function refusal(file: string): string {
  const parsed = parseSwarmOptions(['--model', file]);
  assert.ok(!parsed.ok);
  assert.doesNotMatch(parsed.message, /\n/);
  return parsed.message.replaceAll(dir, 'DIR').replace(/ All flags.*$/, '');
}

describe('a model from a file', () => {
  it('is what ends in .json or has a path', () => {
    for (const text of ['model.json', 'a/b', './cnn', 'MODEL.JSON', 'a\\b'])
      assert.ok(isModelFile(text), text);
    for (const text of ['mlp', 'cnn:16-32-128', 'resnet', 'json']) assert.ok(!isModelFile(text), text);
  });

  it('comes with its weights, layer by layer', () => {
    const file = write('whole', ['w-1.bin', 'w-2.bin']);
    const bytes = new Uint8Array(numbers.buffer);
    writeFileSync(join(dir, 'whole', 'w-1.bin'), bytes.subarray(0, 1001));
    writeFileSync(join(dir, 'whole', 'w-2.bin'), bytes.subarray(1001));
    const { config, weights } = read(file);
    assert.equal(config.model.name, 'mine');
    assert.deepEqual(
      weights!.map(({ layer, updates, parameters, optimizer }) => [
        layer,
        updates,
        parameters.map(({ name, shape }) => [name, shape]),
        optimizer,
      ]),
      [
        [
          'hidden',
          0,
          [
            ['hidden/kernel', [784, 4]],
            ['hidden/bias', [4]],
          ],
          [],
        ],
        [
          'scores',
          0,
          [
            ['scores/kernel', [4, 10]],
            ['scores/bias', [10]],
          ],
          [],
        ],
      ],
    );
    assert.deepEqual([...weights![1].parameters[1].data], [...numbers.subarray(-10)]);
  });

  it('may come without weights', () => {
    const { config, weights } = read(write('bare', null));
    assert.equal(weights, null);
    assert.deepEqual(
      config.model.layers.map(({ name }) => name),
      ['flatten', 'hidden', 'scores'],
    );
  });

  it('is refused in one line that says what to do', () => {
    const cases: [file: string, message: RegExp][] = [
      [
        'nowhere/model.json',
        /^--model: nowhere\/model\.json is not there: give the path of a model\.json\.$/,
      ],
      [`${dir}/`, /^--model: DIR\/ is a directory: name the file in it, such as DIR\/model\.json\.$/],
      [
        write('alone', ['w.bin']),
        /^--model: w\.bin \(weights that DIR\/alone\/model\.json names\) is not there: put it beside the file, or/,
      ],
      [
        write('outside', ['../whole/w-1.bin']),
        /names its weights \.\.\/whole\/w-1\.bin, which is not beside it/,
      ],
      [write('absolute', ['/etc/hostname']), /which is not beside it|is not there/],
      [
        write('lstm', null, { modelTopology: { class_name: 'Sequential', config: { layers: [lstm] } } }),
        /^--model: DIR\/lstm\/model\.json: Layer memory is of class LSTM.* Supported: InputLayer, Dense/,
      ],
    ];
    for (const [file, message] of cases) assert.match(refusal(file), message);
    writeFileSync(join(dir, 'text.json'), 'hello');
    assert.match(
      refusal(join(dir, 'text.json')),
      /^--model: DIR\/text\.json is no JSON: a model\.json that tfjs saved/,
    );
  });
});
