import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FlagError } from '../../shared/flags.ts';
import type { Report } from '../../shared/schema/report.ts';
import { gainsOf } from './duo-rooms.ts';
import { htmlPage } from './html.ts';
import { idleShare, THEORY } from './idle-share.ts';
import { simulatedPipeline } from './idle-simulated.ts';
import { BENCH_HELP, BENCH_NAMES, parseBenchOptions } from './options.ts';
import { goalRow, holds, median, shown, summaryOf, type BenchResult } from './result.ts';

const refused = (...args: string[]): string => {
  try {
    parseBenchOptions(args);
  } catch (error) {
    assert.ok(error instanceof FlagError);
    return error.message;
  }
  return assert.fail('taken');
};

describe('the command line of the bench', () => {
  it('knows its sub-commands, and the help names each', () => {
    for (const name of BENCH_NAMES) {
      assert.deepEqual(parseBenchOptions([name]).benches, [name]);
      assert.match(BENCH_HELP, new RegExp(`^  ${name} `, 'm'));
    }
    assert.deepEqual(parseBenchOptions(['all']).benches, BENCH_NAMES);
    assert.equal(parseBenchOptions(['--help']).help, true);
    assert.equal(parseBenchOptions(['solo', '-h']).help, true);
  });

  it('reads every flag', () => {
    const json = join(tmpdir(), 'bench.json');
    const args = ['--rounds', '3', '--steps', '50', '--models', 'cnn,mlp-small', '--json', json];
    const { rounds, steps, models, json: file } = parseBenchOptions(['--', 'solo', ...args]);
    assert.deepEqual([rounds, steps, models, file], [3, 50, ['cnn', 'mlp-small'], json]);
  });

  it('refuses in one line what it does not know', () => {
    assert.match(refused(), /^Say what to measure: solo, duo/);
    assert.match(refused('solos'), /^There is no sub-command "solos": choose solo, duo/);
    assert.match(refused('solo', '--round', '3'), /no flag --round\. Did you mean --rounds\?/);
    assert.match(refused('solo', '--rounds', 'many'), /^--rounds wants a whole number/);
    assert.match(refused('solo', '--models', 'vgg'), /^--models wants mlp or cnn/);
    assert.match(refused('idle', '--schedule', 'never'), /^--schedule wants sync/);
    assert.match(refused('page', '--html', '/no/such/place/x.html'), /^--html .* there is no directory/);
  });
});

describe('figures of the bench', () => {
  it('are medians with least and most, and goals hold or not', () => {
    assert.equal(median([3, 1, 2]), 2);
    assert.equal(median([4, 1, 2, 3]), 2.5);
    assert.equal(shown(summaryOf([1, 2, 4])), '2.00 (1.00 to 4.00)');
    assert.equal(shown(summaryOf([1.234])), '1.23');
    const goal = { what: 'speed', value: 1.2, bound: 1.15, kind: 'least', unit: '' } as const;
    assert.deepEqual(goalRow(goal), ['speed', '1.20', 'at least 1.15', 'yes']);
    assert.deepEqual(goalRow({ ...goal, kind: 'most' }).at(-1), 'NO');
    assert.ok(!holds({ ...goal, value: NaN }), 'what was not measured does not hold');
  });

  it('come on one page that needs nothing beside it', () => {
    const result: BenchResult = {
      bench: 'solo',
      title: 'A < B & "C"',
      sections: [
        {
          title: 'One',
          note: 'n',
          heads: ['what', 'ms'],
          rows: [['<script>', '1.5']],
          bars: [{ label: 'a', ...summaryOf([1, 2, 3]) }],
          unit: 'ms',
          mark: 1,
        },
      ],
      goals: [{ what: 'w', value: 1, bound: 2, kind: 'least', unit: '' }],
    };
    const html = htmlPage({ startedAt: '2026-01-02T03:04:05Z', machine: 'one' }, [result]);
    assert.ok(html.includes('A &lt; B &amp; &quot;C&quot;') && html.includes('&lt;script&gt;'));
    assert.ok(!/<script|src=|href="(?!#)|url\(/.test(html), 'no script, nothing from elsewhere');
    assert.ok(html.includes('prefers-color-scheme: dark') && html.includes('width=device-width'));
    assert.equal(html.match(/class="bar"/g)?.length, 1);
    assert.equal(html.match(/class="missed"/g)?.length, 1);
  });
});

describe('idle time', () => {
  it('is what is left of the window of all stages, averaged over them', () => {
    const span = (step: number, start_ms: number, end_ms: number) =>
      ({ kind: 'forward', step, micro: 0, start_ms, end_ms }) as const;
    const report = {
      plan: { stages: [{ lanes: ['a'] }, { lanes: ['b'] }], caps: [{ in_flight: 3 }] },
      timelines: [
        { peer: 'a', spans: [span(0, 0, 500), span(1, 1000, 1050), span(1, 1060, 1080)] },
        {
          peer: 'b',
          spans: [span(0, 990, 1010), span(1, 1050, 1100), { ...span(1, 1000, 1050), kind: 'wait' }],
        },
      ],
    } as unknown as Report;
    const { idle, stepMs, isSplit } = idleShare(report, 1, 1);
    assert.ok(Math.abs(idle - (0.3 + 0.4) / 2) < 1e-9);
    assert.deepEqual([stepMs, isSplit], [100, false]);
    assert.throws(() => idleShare(report, 2, 3), /Nothing is known of what a did/);
  });

  it('of a simulated pipeline without latency is what theory says', async () => {
    const wish = { stages: 3, microBatches: 6, passMs: 50, latencyMs: 0, steps: 3, schedule: 'sync' };
    const { idle, isSplit, inFlight } = idleShare(await simulatedPipeline(wish), 1, 1);
    assert.ok(isSplit);
    const theory = THEORY.splitBackward(3, 6, inFlight);
    assert.equal(THEORY.splitBackward(4, 16), 3 / 51);
    assert.ok(Math.abs(idle - theory) < 0.02, `${idle} instead of ${theory}`);
  });
});

describe('two devices against one', () => {
  it('are held against the one right before and after', () => {
    const [before, between, after] = [
      [100, 100],
      [200, 200],
      [100, 300],
    ];
    const [first, second] = gainsOf({ oneMs: [before, between, after], twoMs: [80, 100] });
    // As fast as the average of both: rates are averaged, not times.
    assert.ok(Math.abs(first - 400 / 3 / 80) < 1e-12, String(first));
    assert.ok(Math.abs(second - 4 / (2 / 200 + 1 / 100 + 1 / 300) / 100) < 1e-12, String(second));
  });
});
