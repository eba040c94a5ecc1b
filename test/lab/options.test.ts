import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LAB_HELP } from '../../client/cli/lab/help.ts';
import { needsRelay, parseLabOptions, type LabOptions } from '../../client/cli/lab/options.ts';

function read(line = ''): LabOptions {
  const parsed = parseLabOptions(line.split(' ').filter((word) => word !== ''));
  assert.ok(parsed.ok, parsed.ok ? '' : parsed.message);
  return parsed.options;
}

function refusal(line: string): string {
  const parsed = parseLabOptions(line.split(' '));
  assert.ok(!parsed.ok, `${line} was taken`);
  return parsed.message;
}

describe('flags of the lab', () => {
  it('are a perfect network by default, without a relay', () => {
    const options = read();
    assert.deepEqual(options.traits, {
      loss: 0,
      burst: null,
      latencyMs: 0,
      jitterMs: 0,
      bitsPerSecond: null,
      slow: 1,
    });
    assert.deepEqual([options.cuts, options.relayOnly, needsRelay(options)], [[], false, false]);
    assert.equal(options.swarm.peers, 4);
  });

  it('say what network and devices are like, and leave the run to those of the swarm', () => {
    const options = read(
      '--peers 3 --loss 10 --loss-burst 5 --rate 20mbit --latency 25 --latency-jitter 10 --slow 2 ' +
        '--cut-link 3@200:20,1@300:0.5,coordinator@350:5 --rule repair --steps 400 --grid 3x1 --seed 7 --jitter 20',
    );
    assert.deepEqual(options.traits, {
      loss: 0.1,
      burst: 5,
      latencyMs: 25,
      jitterMs: 10,
      bitsPerSecond: 20e6,
      slow: 2,
    });
    assert.deepEqual(options.cuts, [
      { peer: 3, step: 200, seconds: 20 },
      { peer: 1, step: 300, seconds: 0.5 },
      { peer: null, step: 350, seconds: 5 },
    ]);
    const { config, peers } = options.swarm;
    assert.deepEqual([peers, config.rule, config.steps, config.seed], [3, 'repair', 400, 7]);
    assert.deepEqual(config.faults, { jitterMs: 20 });
  });

  it('take a profile for what is not given', () => {
    const phone = { loss: 0.02, burst: null, latencyMs: 40, jitterMs: 0, bitsPerSecond: 1.2e6, slow: 6 };
    assert.deepEqual(read('--profile phone').traits, phone);
    assert.deepEqual(read('--profile phone --loss 0 --slow 2').traits, { ...phone, loss: 0, slow: 2 });
  });

  it('call for the relay only where a bridge is not enough', () => {
    for (const line of ['--loss 10 --rate 1mbit', '--slow 3'])
      assert.equal(needsRelay(read(line)), false, line);
    for (const line of ['--latency 1', '--loss 10 --loss-burst 3', '--relay-only'])
      assert.equal(needsRelay(read(line)), true, line);
  });

  it('are refused with what to do', () => {
    const wrong: [string, RegExp][] = [
      ['--loss 101', /--loss wants a number from 0 to 100, not "101": for example --loss 10\./],
      ['--rate 20', /--rate wants bits per second.*not "20": for example --rate 20mbit\./],
      ['--rate 1kbit', /from 8kbit/],
      ['--latency-jitter 5', /before they were sent: give --latency 5 or more/],
      ['--loss-burst 5', /give --loss, too/],
      ['--loss 90 --loss-burst 5', /too short where 90% of all packets are lost: give at least 9\./],
      ['--cut-link 3', /--cut-link wants peer@step:seconds, not "3": for example --cut-link 3@200:20\./],
      ['--cut-link 5@10:20', /--cut-link wants a whole number from 1 to 4, not "5"/],
      ['--steps 100 --cut-link 1@100:20', /from 1 to 99, not "100"/],
      ['--cut-link 1@10:0', /above 0 and up to 3600/],
      ['--profile fridge', /--profile wants phone, not "fridge"/],
      ['--profile phone --relay-only', /--slow slows hosts/],
      ['--watch', /--watch is not for the lab/],
      ['--latancy 5', /Did you mean --latency\? All flags: npm run lab -- --help/],
      ['--batch 7', /--batch 7 does not divide/],
    ];
    for (const [line, message] of wrong) assert.match(refusal(line), message);
  });

  it('are all in the help, with those of the swarm that make sense here', () => {
    const own = 'loss loss-burst rate latency latency-jitter slow profile cut-link relay-only'.split(' ');
    for (const flag of [...own, 'peers', 'rule', 'drop', 'help'])
      assert.match(LAB_HELP, new RegExp(` --${flag}\\b`));
    assert.doesNotMatch(LAB_HELP, /^ {2}--(watch|isolate)/m);
  });
});
