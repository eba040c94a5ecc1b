import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FULL, QUICK } from '../../client/cli/experiment/grid.ts';
import { EXPERIMENT_HELP, parseExperimentOptions } from '../../client/cli/experiment/options.ts';
import { FlagError } from '../../shared/flags.ts';

const parse = (line: string) => parseExperimentOptions(line.split(' '));

describe('npm run experiment', () => {
  it('runs everything where nothing is said, and less where somebody is in a hurry', () => {
    assert.deepEqual(parse('volatility'), { settings: FULL, out: 'volatility', browser: null, help: false });
    assert.deepEqual(parse('volatility --quick').settings, QUICK);
    assert.equal(parse('volatility --quick').out, 'volatility-quick');
  });

  it('takes what is to be run', () => {
    const { settings, out } = parse(
      'volatility --troubles loss-30,outage-25 --ways hybrid-deadline,vertical-repair --seeds 3 --seconds 40 --device-ms 7.5 --rooms 1 --model mlp --wire float32 --out here',
    );
    assert.deepEqual(settings, {
      ...FULL,
      troubles: ['loss-30', 'outage-25'],
      ways: ['hybrid deadline', 'vertical repair'],
      seeds: 3,
      seconds: 40,
      // Nobody can be compared later than that.
      compareSeconds: 40,
      deviceMs: 7.5,
      rooms: 1,
      model: 'mlp',
      wire: 'float32',
    });
    assert.equal(out, 'here');
  });

  for (const [line, part] of [
    ['', 'Say which experiment'],
    ['--quick', 'Say which experiment'],
    ['quick', 'There is no experiment "quick"'],
    ['volatility --troubles loss-20', '--troubles wants none or loss-10'],
    ['volatility --ways hybrid', '--ways wants hybrid-deadline or'],
    ['volatility --ways auto-stall', '--ways wants'],
    ['volatility --model cnn', '--model wants dense layers'],
    ['volatility --model mlp:x', '--model wants dense layers'],
    ['volatility --wire int4', '--wire wants float32'],
    ['volatility --seconds 3', '--seconds wants a whole number from 20'],
    ['volatility --rooms 0', '--rooms wants a whole number from 1'],
    ['volatility --device-ms 0', '--device-ms wants a number above 0'],
    ['volatility --drop 0.3', 'There is no flag --drop'],
  ])
    it(`refuses "${line}" with a reason`, () => {
      assert.throws(
        () => parse(line),
        (error: unknown) => error instanceof FlagError && error.message.includes(part),
      );
    });

  it('has a help that names every flag', () => {
    for (const flag of [
      'quick',
      'out',
      'seeds',
      'seconds',
      'troubles',
      'ways',
      'model',
      'wire',
      'device-ms',
      'rooms',
      'browser',
    ])
      assert.ok(EXPERIMENT_HELP.includes(`--${flag}`), flag);
    assert.equal(parse('--help').help, true);
  });
});
