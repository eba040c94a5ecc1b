import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FAULT_FLAGS } from '../../client/cli/faults.ts';
import { SWARM_HELP } from '../../client/cli/swarm-help.ts';
import { parseSwarmOptions, type SwarmOptions } from '../../client/cli/swarm-options.ts';
import { checkDataSet } from '../../client/cli/paths.ts';
import { runConfig } from '../../client/defaults.ts';
import { hasFashion } from '../../signaling/data-files.ts';
import { LIMITS } from '../../shared/limits.ts';

const MISSING_FASHION =
  "--task fashion needs Debian's package dataset-fashion-mnist: apt-get install dataset-fashion-mnist.";

const dir = mkdtempSync(join(tmpdir(), 'edgepipe-options-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = join(dir, 'a-file');
writeFileSync(file, '');
mkdirSync(join(dir, 'sub'));

function read(...args: string[]): SwarmOptions {
  const parsed = parseSwarmOptions(args);
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.options;
}

describe('flags of the swarm command', () => {
  it('has defaults', () => {
    assert.deepEqual(read(), {
      peers: 4,
      config: { ...runConfig(), onDeparture: 'continue' },
      replan: [],
      weights: null,
      report: null,
      trace: null,
      save: null,
      browser: null,
      isolate: false,
      deviceMs: null,
      memoryBytes: null,
      delays: [],
      watch: false,
      port: 0,
      timeoutSeconds: 3600,
      help: false,
    });
  });

  it('reads every flag, and the help names each', () => {
    const report = join(dir, 'new.json');
    const trace = join(dir, 'trace.json');
    const save = join(dir, 'new', 'model');
    const args = [
      ['--peers', '6'],
      ['--task', 'mnist'],
      ['--model', 'mlp:64-32'],
      ['--partition', 'hybrid'],
      ['--grid', '2X3'],
      ['--shares', 'even'],
      ['--wire', 'float16'],
      ['--replan', '7,3'],
      ['--ordering', 'reverse'],
      ['--steps', '10'],
      ['--batch=96'],
      ['--micro-batches', '8'],
      ['--optimizer', 'momentum'],
      ['--learning-rate', '1e-2'],
      ['--decay', 'constant'],
      ['--seed', '7'],
      ['--report', report],
      ['--trace', trace],
      ['--save', save],
      ['--browser', process.execPath],
      ['--isolate'],
      ['--device-ms', '200, 100.5,400,1,2,3'],
      ['--memory-mb', '64,32.5,1,2,3,0.001'],
      ['--delay', '1-2:80,3-1:20'],
      ['--watch'],
      ['--port', '9000'],
      ['--timeout', '60'],
    ];
    const { config, ...options } = read(...args.flat());
    assert.deepEqual(options, {
      peers: 6,
      replan: [3, 7],
      weights: null,
      report,
      trace,
      save,
      browser: process.execPath,
      isolate: true,
      deviceMs: [200, 100.5, 400, 1, 2, 3],
      memoryBytes: [64e6, 32.5e6, 1e6, 2e6, 3e6, 1000],
      delays: [
        { a: 1, b: 2, ms: 80 },
        { a: 1, b: 3, ms: 20 },
      ],
      watch: true,
      port: 9000,
      timeoutSeconds: 60,
      help: false,
    });
    assert.deepEqual(
      config.model.layers.map((layer) => 'units' in layer && layer.units),
      [64, 32, 10],
    );
    assert.deepEqual(config.optimizer, { kind: 'momentum', learningRate: 0.01, decay: 'constant' });
    assert.deepEqual([config.steps, config.batch, config.microBatches, config.seed], [10, 96, 8, 7]);
    assert.deepEqual(
      [config.partition, config.grid, config.shares, config.wire],
      ['hybrid', { stages: 2, lanes: 3 }, 'even', 'float16'],
    );
    assert.equal(config.ordering, 'reverse');
    assert.equal(config.onDeparture, 'continue');
    for (const [arg] of args) assert.match(SWARM_HELP, new RegExp(`${arg.split('=')[0]}\\b`));
    assert.match(SWARM_HELP, /--help/);
  });

  it('takes one number for all devices and all links', () => {
    assert.deepEqual(read('--peers', '3', '--device-ms', '50').deviceMs, [50, 50, 50]);
    assert.deepEqual(read('--peers', '3', '--delay', '80').delays, [
      { a: 1, b: 2, ms: 80 },
      { a: 1, b: 3, ms: 80 },
      { a: 2, b: 3, ms: 80 },
    ]);
  });

  it('takes faults for all links or named ones, and goes on without what they lose', () => {
    assert.equal(read().config.rule, undefined);
    assert.equal(read('--rule', 'stall').config.rule, 'stall');
    assert.equal(read('--copies', 'off').config.copies, false);
    assert.equal(read('--copies', 'on').config.copies, undefined);
    const { config } = read(
      ...'--peers 3 --drop 0.3 --burst 5 --jitter 1-2:20 --outage 1-3:0.25:2 --duplicate 0.1 --reorder 0.2'.split(
        ' ',
      ),
      ...'--stall 3:5:15 --cut 3-1@100..150'.split(' '),
    );
    const all = { drop: 0.3, burst: 5, duplicate: 0.1, reorder: 0.2 };
    assert.equal(config.rule, 'deadline');
    assert.deepEqual(config.faults, {
      ...all,
      links: [
        { between: ['peer 1', 'peer 2'], ...all, jitterMs: 20 },
        { between: ['peer 1', 'peer 3'], ...all, outage: { share: 0.25, seconds: 2 } },
      ],
      stalls: [{ peer: 'peer 3', seconds: 5, everySeconds: 15 }],
      cuts: [{ between: ['peer 1', 'peer 3'], steps: [100, 150] }],
    });
    assert.deepEqual(read('--outage', '0.1:2', '--rule', 'repair').config.faults, {
      outage: { share: 0.1, seconds: 2 },
    });
    assert.deepEqual(read('--drop-tests', '--drop', '1-2:0.3').config.faults, {
      tests: true,
      links: [{ between: ['peer 1', 'peer 2'], drop: 0.3 }],
    });
    assert.deepEqual(read('--drop', '0', '--drop-tests').config.faults, { drop: 0, tests: true });
    for (const flag of Object.keys(FAULT_FLAGS)) assert.match(SWARM_HELP, new RegExp(`--${flag} `));
  });

  it('knows the models by name, and leaves a grid to the planner where it is auto', () => {
    for (const model of ['cnn', 'cnn:16-32-128', 'resnet'])
      assert.equal(read('--model', model).config.model.name, model);
    assert.equal(read('--grid', 'auto').config.grid, null);
    for (const args of [
      '--partition vertical --grid 4x1',
      '--partition horizontal --grid 1x4',
      '--grid 2x2',
    ]) {
      assert.ok(read(...args.split(' ')).config.grid);
    }
    assert.equal(read('--grid', '2x3', '--watch').peers, 4, 'others may come in');
  });

  it('takes Fashion-MNIST where its package is installed', () => {
    const parsed = parseSwarmOptions(['--task', 'fashion']);
    if (hasFashion()) assert.ok(parsed.ok && parsed.options.config.task === 'fashion');
    else assert.ok(!parsed.ok && parsed.message.startsWith(MISSING_FASHION));
    assert.throws(() => checkDataSet('fashion', dir), { message: MISSING_FASHION });
    assert.doesNotThrow(() => checkDataSet('mnist', dir));
  });

  it('allows a report over an older one, and a model into a directory that is there', () => {
    assert.equal(read('--report', file).report, file);
    assert.equal(read('--save', dir).save, dir);
  });

  const refusals: [args: string, words: RegExp][] = [
    ['--stesp 3', /no flag --stesp\. Did you mean --steps\?/],
    ['--gpu', /no flag --gpu\. All flags: npm run swarm -- --help/],
    ['-p 4', /no flag -p\b/],
    ['4', /"4" belongs to no flag/],
    ['--peers', /--peers needs a value, such as --peers 4/],
    ['--peers --watch', /--peers needs a value/],
    ['--peers 4 --peers 5', /--peers is given twice/],
    ['--watch=yes', /--watch takes no value/],
    ['--peers 0', /--peers wants a whole number from 1 to 16, not "0"/],
    ['--peers 17', /--peers.*16.*not "17"/],
    ['--peers four', /--peers.*not "four"/],
    ['--peers 2.5', /--peers.*not "2\.5"/],
    ['--task cifar', /--task wants mnist or fashion, not "cifar"/],
    ['--model vgg', /--model.*no model "vgg"\. Use mlp, .*cnn.*resnet/],
    ['--model mlp:0', /--model.*mlp:0/],
    [`--model mlp:${'8-'.repeat(LIMITS.run.layers)}8`, /--model.*at most 256 layers/],
    ['--steps 0', /--steps wants a whole number from 1 to 1000000, not "0"/],
    ['--steps -5', /--steps.*not "-5"/],
    ['--steps 1e3', /--steps.*not "1e3"/],
    ['--batch 0', /--batch.*from 1 to 8192/],
    ['--batch 8193', /--batch.*8192.*not "8193"/],
    ['--micro-batches 65', /--micro-batches.*64/],
    ['--batch 100 --micro-batches 8', /--batch 100 does not divide into 8.*--batch 96 --micro-batches 8/],
    ['--batch 3', /--batch 3 does not divide into 4.*--batch 4/],
    ['--optimizer rmsprop', /--optimizer wants sgd or momentum or adam, not "rmsprop"/],
    ['--learning-rate 0', /--learning-rate wants a number above 0 and up to 100, not "0"/],
    ['--learning-rate -1', /--learning-rate.*not "-1"/],
    ['--learning-rate NaN', /--learning-rate.*not "NaN"/],
    ['--learning-rate Infinity', /--learning-rate.*not "Infinity"/],
    ['--decay cosine', /--decay wants linear or constant/],
    ['--seed -1', /--seed.*from 0 to 2147483647, not "-1"/],
    ['--seed 2147483648', /--seed.*not "2147483648"/],
    ['--device-ms 1,2', /--device-ms has 2 numbers for 4 peers/],
    ['--device-ms 0', /--device-ms.*above 0.*not "0"/],
    ['--device-ms 1,2,3,x', /--device-ms.*not "x"/],
    ['--partition diagonal', /--partition wants auto or hybrid or vertical or horizontal, not "diagonal"/],
    ['--wire float8', /--wire wants auto or float32 or float16 or int8, not "float8"/],
    ['--shares fair', /--shares wants measured or even, not "fair"/],
    ['--grid 2', /--grid wants stages x lanes such as 2x2, each from 1 to 16, or auto, not "2"/],
    ['--grid 0x2', /--grid wants .*not "0x2"/],
    ['--grid 2x17', /--grid wants .*not "2x17"/],
    [
      '--grid 2x3',
      /^--grid 2x3 needs 6 peers, but --peers is 4: give --peers 6, or choose a smaller grid\. All flags/,
    ],
    [
      '--grid 5x4',
      /^--grid 5x4 needs 20 peers, but --peers is 4: choose a smaller grid: a room takes 16 peers at most\./,
    ],
    ['--replan', /--replan needs a value, such as --replan 100,300/],
    ['--replan 0', /--replan wants a whole number from 1.*not "0"/],
    ['--replan 3,x', /--replan.*not "x"/],
    [
      '--replan 3,10 --steps 10',
      /^--replan 10 is no step before the end of a run of 10: give smaller ones, or more --steps\./,
    ],
    ['--replan 3,5,3', /--replan names step 3 twice/],
    ['--ordering best', /--ordering wants importance or random or reverse, not "best"/],
    ['--partition vertical --grid 2x2', /--partition vertical --grid 2x2 has 2 lanes, .*alone: 4x1\./],
    ['--partition horizontal --grid 2x2', /--partition horizontal --grid 2x2 has 2 stages, .*alone: 1x4\./],
    ['--partition hybrid --grid 4x1', /--partition hybrid --grid 4x1 is a vertical partition/],
    ['--memory-mb 1,2', /--memory-mb has 2 numbers for 4 peers/],
    ['--memory-mb 0', /--memory-mb.*above 0.*not "0"/],
    ['--delay 1-5:3', /--delay 1-5:3: there is no peer 5; .*1 to 4/],
    ['--delay 0-1:3', /no peer 0/],
    ['--delay 2-2:3', /a peer has no link to itself/],
    ['--delay 1-2:3,2-1:4', /names the link 1-2 twice/],
    ['--delay 1-2', /--delay wants peer-peer:milliseconds, not "1-2"/],
    ['--delay 1-2:x', /--delay.*not "x"/],
    ['--delay 1-2:99999', /--delay.*from 0 to 1000, not "99999"/],
    ['--rule hope', /--rule wants deadline or stall or discard or repair, not "hope"/],
    ['--drop 1.5', /--drop wants a number from 0 to 1, not "1\.5": for example --drop 0\.3/],
    ['--drop 1-2:x', /--drop.*not "x".*--drop 1-2:0\.3/],
    ['--drop 1-9:0.1', /--drop 1-9:0\.1: there is no peer 9/],
    ['--drop 1-2', /--drop wants peer-peer:number, not "1-2"/],
    ['--burst 5', /--burst says how many frames are lost in a row: give --drop, too/],
    ['--drop 0.9 --burst 2', /--burst 2 is too short where 0\.9 of all frames are lost: give at least 9/],
    ['--drop-tests --jitter 20', /--drop-tests .*give --drop or --outage, too/],
    ['--drop-tests=0.3 --drop 0.3', /--drop-tests takes no value/],
    ['--jitter -3', /--jitter/],
    ['--outage 0.3', /--outage wants share:seconds, not "0\.3"/],
    ['--outage 1:2', /down all the time/],
    ['--outage 0.2:0', /--outage.*above 0/],
    ['--stall 5:5:15', /--stall.*from 1 to 4, not "5"/],
    ['--stall 1:5', /--stall wants peer:seconds:every, not "1:5": for example --stall 3:5:15/],
    ['--stall 1:15:15', /does nothing/],
    ['--cut 1-2', /--cut wants peer-peer@step\.\.step, not "1-2"/],
    ['--cut 1-1@3..4', /no link to itself/],
    ['--cut 1-2@5..4', /step 5 comes after step 4/],
    ['--cut 1-2@5..900', /--cut.*from 0 to 599, not "900"/],
    ['--port 65536', /--port wants a number from 0 to 65535/],
    ['--timeout 0', /--timeout.*from 1/],
    [`--report ${dir}`, /--report .* is a directory/],
    [`--report ${dir}/nowhere/x.json`, /--report .*there is no directory .*nowhere/],
    [`--save ${file}`, /--save .* is a file: name a directory/],
    [`--save ${file}/model`, /--save .*is a file, so no directory/],
    [`--browser ${dir}/none`, /--browser names .*none.* is not there/],
    [`--browser ${file}`, /--browser names .*no program/],
  ];
  for (const [args, words] of refusals) {
    it(`refuses ${args.replaceAll(dir, 'DIR').slice(0, 60)}`, () => {
      const parsed = parseSwarmOptions(args.split(' '));
      assert.equal(parsed.ok, false);
      assert.match(parsed.message, words);
      assert.doesNotMatch(parsed.message, /\n/);
    });
  }

  it('refuses a report where nothing may be written', { skip: process.getuid?.() === 0 }, () => {
    const locked = join(dir, 'locked');
    mkdirSync(locked, { mode: 0o500 });
    const parsed = parseSwarmOptions(['--report', join(locked, 'x.json')]);
    assert.equal(parsed.ok, false);
    assert.match(parsed.message, /nothing may be written into/);
  });

  it('ends with exit code 2 and one line before anything starts', () => {
    const run = swarm('--peers', '99');
    assert.equal(run.status, 2);
    assert.match(run.stderr, /^--peers wants .*\n$/);
    assert.equal(run.stdout, '');
  });

  it('shows its flags', () => {
    const run = swarm('--help');
    assert.equal(run.status, 0);
    assert.match(run.stdout, /--micro-batches M/);
  });
});

function swarm(...args: string[]) {
  const script = fileURLToPath(new URL('../../client/cli/swarm.ts', import.meta.url));
  return spawnSync(process.execPath, ['--import', 'tsx', script, ...args], { encoding: 'utf8' });
}
