import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { devicesOf, linksOf, readDeviceFile, type DeviceFile } from '../../client/cli/plan-devices.ts';
import { parsePlanOptions, PLAN_HELP, type PlanOptions } from '../../client/cli/plan-options.ts';
import { runConfig } from '../../client/defaults.ts';

const dir = mkdtempSync(join(tmpdir(), 'edgepipe-plan-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const fixture = fileURLToPath(new URL('fixtures/devices.json', import.meta.url));

let written = 0;
function fileOf(content: unknown): string {
  const file = join(dir, `devices-${++written}.json`);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

function plan(...args: string[]) {
  const script = fileURLToPath(new URL('../../client/cli/plan.ts', import.meta.url));
  return spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' });
}

function read(...args: string[]): PlanOptions {
  const parsed = parsePlanOptions(args);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.options;
}

const two = [
  { name: 'a', gflops: 1 },
  { name: 'b', modelMs: 50 },
];
const link = { rttMs: 2, goodput: 1e6 };

describe('flags of the plan command', () => {
  it('reads every flag, and the help names each', () => {
    const args = [
      ['--devices', fixture],
      ['--task', 'mnist'],
      ['--model', 'cnn'],
      ['--partition', 'hybrid'],
      ['--grid', '2x2'],
      ['--shares', 'even'],
      ['--wire', 'int8'],
      ['--batch', '96'],
      ['--micro-batches', '8'],
      ['--optimizer', 'sgd'],
      ['--json'],
    ];
    const { config, devices, json } = read(...args.flat());
    const { partition, grid, shares, wire, batch, microBatches, optimizer, model } = config;
    assert.deepEqual(
      [partition, grid, shares, wire, batch, microBatches, optimizer.kind, model.name, json],
      ['hybrid', { stages: 2, lanes: 2 }, 'even', 'int8', 96, 8, 'sgd', 'cnn', true],
    );
    assert.equal(devices!.devices.length, 5);
    for (const [flag] of args) assert.match(PLAN_HELP, new RegExp(`${flag}\\b`));
    assert.deepEqual(read('--devices', fixture).config, runConfig());
  });

  const refusals: [string, string[], RegExp][] = [
    ['no devices', [], /^--devices is missing: for example --devices .*devices\.json\./],
    [
      'no such file',
      ['--devices', join(dir, 'none.json')],
      /^--devices .*none\.json: there is no such file\./,
    ],
    ['a directory', ['--devices', dir], /^--devices .* cannot be read: /],
    ['what is no JSON', ['--devices', fileOf('{"devices": [')], /is not JSON: /],
    ['an unknown model', ['--model', 'gpt', '--devices', fixture], /^--model: There is no model "gpt"/],
    [
      'a grid that is no hybrid',
      ['--partition', 'hybrid', '--grid', '4x1', '--devices', fixture],
      /^--partition hybrid --grid 4x1 is a vertical partition/,
    ],
    [
      'a batch that does not divide',
      ['--batch', '10', '--micro-batches', '4', '--devices', fixture],
      /does not divide/,
    ],
  ];
  for (const [name, args, message] of refusals) {
    it(`refuses ${name}`, () => {
      const parsed = parsePlanOptions(args);
      assert.equal(parsed.ok, false);
      assert.match(parsed.message, message);
      assert.match(parsed.message, /All flags: npm run plan -- --help$/);
    });
  }

  const files: [string, unknown, RegExp][] = [
    ['one device', { devices: [two[0]], defaultLink: link }, /There must be 2 devices or more/],
    [
      'too many devices',
      { devices: Array.from({ length: 257 }, (_, i) => ({ name: `d${i}`, gflops: 1 })), defaultLink: link },
      /There may be 256 devices at most/,
    ],
    [
      'a device without a speed',
      { devices: [two[0], { name: 'b' }], defaultLink: link },
      /devices\.1: needs either gflops or modelMs/,
    ],
    [
      'a device with two speeds',
      { devices: [two[0], { name: 'b', gflops: 1, modelMs: 2 }], defaultLink: link },
      /devices\.1: needs either gflops or modelMs/,
    ],
    [
      'a speed of nothing',
      { devices: [two[0], { name: 'b', gflops: 0 }], defaultLink: link },
      /devices\.1\.gflops/,
    ],
    [
      'an unknown field',
      { devices: [two[0], { name: 'b', gflops: 1, ram: 4 }], defaultLink: link },
      /devices\.1\.ram/,
    ],
    [
      'a steadiness beyond 1',
      { devices: [two[0], { name: 'b', gflops: 1, steadiness: 2 }], defaultLink: link },
      /devices\.1\.steadiness/,
    ],
    ['the same name twice', { devices: [two[0], two[0]], defaultLink: link }, /two devices are called "a"/],
    ['no links', { devices: two }, /there are no links: give "links", or a "defaultLink"/],
    [
      'a link to nobody',
      { devices: two, links: [{ a: 'a', b: 'c', ...link }] },
      /a link names "c", but no device is called so/,
    ],
    ['a link to itself', { devices: two, links: [{ a: 'a', b: 'a', ...link }] }, /"a" has a link to itself/],
    [
      'a link twice',
      {
        devices: two,
        links: [
          { a: 'a', b: 'b', ...link },
          { a: 'b', b: 'a', ...link },
        ],
      },
      /the link of "b" and "a" is there twice/,
    ],
    [
      'a link without a speed',
      { devices: two, links: [{ a: 'a', b: 'b', rttMs: 1 }] },
      /links\.0: needs either goodput or mbitPerSecond/,
    ],
    ['a link that loses all', { devices: two, defaultLink: { ...link, loss: 1 } }, /defaultLink\.loss/],
  ];
  for (const [name, content, message] of files) {
    it(`refuses a file with ${name}`, () => {
      const parsed = parsePlanOptions(['--devices', fileOf(content)]);
      assert.equal(parsed.ok, false);
      assert.match(parsed.message, message);
    });
  }
});

describe('described devices', () => {
  const config = runConfig({ model: 'mlp:100', batch: 128, microBatches: 4 });
  const described = (file: unknown): DeviceFile => readDeviceFile(fileOf(file));

  it('take what their operations take, or what was said for the whole model', () => {
    const [a, b] = devicesOf(described({ devices: two, defaultLink: link }), config);
    // 784 x 100 multiply-adds, bias and ReLU, for 32 samples, at a billion operations per second.
    const forwardMs = (32 * (2 * 784 * 100 + 200)) / 1e6;
    assert.ok(Math.abs(a.layerCosts[0].forwardMs - forwardMs) < 1e-9);
    assert.ok(Math.abs(a.layerCosts[0].backwardMs - 2 * forwardMs) < 1e-9);
    const whole = b.layerCosts.reduce((sum, cost) => sum + cost.forwardMs, 0);
    assert.ok(Math.abs(whole - 50) < 1e-9);
    assert.deepEqual(
      b.layerCosts.map(({ backwardMs, weightsMs }) => [backwardMs, weightsMs]),
      b.layerCosts.map(({ forwardMs }) => [2 * forwardMs, forwardMs]),
    );
    assert.deepEqual([a.memoryBytes, a.steadiness, a.taskMs], [null, 1, 0]);
  });

  it('have the links that are named, the default for others, and none without one', () => {
    const devices = [...two, { name: 'c', gflops: 1 }];
    const links = [{ a: 'b', b: 'a', rttMs: 9, mbitPerSecond: 8, loss: 0.1 }];
    assert.deepEqual(linksOf(described({ devices, links })), [
      { a: 'a', b: 'b', rttMs: 9, loss: 0.1, goodput: 1e6 },
    ]);
    assert.equal(linksOf(described({ devices, links, defaultLink: link })).length, 3);
  });
});

describe('npm run plan', () => {
  it('prints stages, lanes, units, time, bytes, memory, and why others lost', () => {
    const { status, stdout } = plan('--model', 'cnn', '--devices', fixture);
    assert.equal(status, 0);
    for (const shown of [
      /^Hybrid, 2 stages of/,
      /conv2d_1 \d\/8/,
      /\d ms/,
      / of 512 MB/,
      /per micro-batch +which way/,
      /forward: every lane makes the loss for itself/,
      /^Predicted: [\d.]+ ms per step, [\d.]+ (k )?samples\/s\./m,
      /^runner-up/m,
      /: a hybrid is preferred up to 10%|% slower|as fast, but more traffic or more at risk$/m,
    ]) {
      assert.match(stdout, shown);
    }
  });

  it('prints JSON', () => {
    const { status, stdout } = plan('--model', 'cnn', '--grid', '2x2', '--json', '--devices', fixture);
    assert.equal(status, 0);
    const made = JSON.parse(stdout) as {
      kind: string;
      lanes: number[];
      step_ms: number;
      samples_per_second: number;
      stages: { memory_bytes: number[] }[];
      boundaries: { bytes: number }[];
      standby: string[];
    };
    assert.equal(made.kind, 'hybrid');
    assert.deepEqual(made.lanes, [2, 2]);
    assert.ok(Math.abs(made.samples_per_second - 128_000 / made.step_ms) < 1e-6);
    assert.equal(made.stages[0].memory_bytes.length, 2);
    assert.ok(made.boundaries.every(({ bytes }) => bytes > 0));
    assert.equal(made.standby.length, 1);
  });

  it('plans for as many as 256 devices', () => {
    const devices = Array.from({ length: 256 }, (_, i) => ({ name: `d${i}`, gflops: 0.5 + (i % 7) / 10 }));
    const { status, stdout } = plan(
      '--model',
      'mlp:512-512-512',
      '--devices',
      fileOf({ devices, defaultLink: { rttMs: 2, mbitPerSecond: 300 } }),
    );
    assert.equal(status, 0);
    assert.match(stdout, /devices stand by without a block/);
  });

  it('ends with 1 and one line where there is no plan, and with 2 where it was asked wrongly', () => {
    const none = plan('--grid', '3x2', '--devices', fixture);
    assert.deepEqual(
      [none.status, none.stdout, none.stderr],
      [1, '', 'A grid of 3x2 needs 6 peers; here are 5.\n'],
    );
    const tight = plan(
      '--model',
      'mlp:2000-2000',
      '--devices',
      fileOf({ devices: two.map((device) => ({ ...device, memoryMb: 20 })), defaultLink: link }),
    );
    assert.equal(tight.status, 1);
    assert.match(
      tight.stderr,
      /^The model needs \d+ MB of memory and the room has 40 MB on 2 peers: \d+ MB are missing/,
    );
    const wrong = plan('--grid', 'many', '--devices', fixture);
    assert.equal(wrong.status, 2);
    assert.match(wrong.stderr, /^--grid wants stages x lanes.*\n$/);
  });

  it('shows its flags', () => {
    const { status, stdout } = plan('--help');
    assert.equal(status, 0);
    assert.match(stdout, /defaultLink/);
  });
});
