import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FULL } from '../../client/cli/experiment/grid.ts';
import type { Outcome, Summary } from '../../client/cli/experiment/outcome.ts';
import { experimentPage, plotsOf } from '../../client/cli/experiment/page.ts';
import { bestOf, sweepRuns } from '../../client/cli/experiment/sweep.ts';
import { markdown, sweepText } from '../../client/cli/experiment/tables.ts';

const summary = (changes: Partial<Summary>): Summary => ({
  partition: 'hybrid',
  rule: 'deadline',
  trouble: 'loss-30',
  runs: 2,
  reached: 2,
  secondsToTarget: 41.6,
  accuracy: 0.951,
  stepsPerSecond: 3.456,
  whole: 0.1,
  partial: 0.85,
  skipped: 0.05,
  forwardUsed: 0.7,
  backwardUsed: 0.49,
  busyProcessors: 1.23,
  ...changes,
});
const sweep = { tried: [], bestMs: 500 };
const progress = { done: 2, all: 3, tookMs: 90_000 };

describe('the table of an experiment', () => {
  it('has a row for each way and a column for each trouble', () => {
    const text = markdown(
      [
        summary({}),
        summary({ partition: 'vertical', rule: 'discard', reached: 1, secondsToTarget: null }),
        summary({ trouble: 'outage-25', reached: 0, secondsToTarget: null }),
      ],
      { ...FULL, seconds: 100 },
      sweep,
      progress,
    );
    assert.match(text, /\| {2}\| 30% lost \| links down 25% \|\n\| --- \| --: \| --: \|/);
    assert.match(
      text,
      /\| hybrid, deadline \| 42 s \| over 100 s \|\n\| vertical, discard \| 1 of 2 in 100 s \| {2}\|/,
    );
    assert.match(text, /\| hybrid, deadline \| 10 \/ 85 \/ 5 \|/);
    assert.match(text, /\| hybrid, deadline \| 0\.700 \/ 0\.490 \|/);
    assert.match(text, /2 of 3 runs, 1 min 30 s this time/);
  });

  it('tells of processors only where they could decide', () => {
    const told = (runsIn: 'browsers' | 'simulation') =>
      markdown([summary({})], { ...FULL, runsIn }, sweep, progress);
    assert.match(told('browsers'), /in real browsers, 2 rooms at a time/);
    assert.match(told('browsers'), /## Processors busy[^]*\| hybrid, deadline \| 1\.2 \|/);
    assert.match(told('simulation'), /in the simulation, on virtual time/);
    assert.doesNotMatch(told('simulation'), /[Pp]rocessor/);
  });

  it('says which wait served stall best', () => {
    const tried = [
      { resendMs: 100, stepsPerSecond: 1 },
      { resendMs: 500, stepsPerSecond: 2 },
    ];
    assert.equal(bestOf(tried), 500);
    assert.match(
      sweepText({ tried, bestMs: 500 }),
      /100 ms 1\.00, 500 ms 2\.00 steps per second; 500 ms is used/,
    );
    assert.match(sweepText(sweep), /500 ms, not tried out/);
  });

  it('tries waits only where some way asks for parts', () => {
    assert.equal(sweepRuns({ ...FULL, ways: ['hybrid deadline', 'vertical discard'] }), 0);
    assert.equal(sweepRuns({ ...FULL, resendMs: [250] }), 0);
    assert.equal(sweepRuns({ ...FULL, ways: ['vertical repair'] }), 2 * FULL.resendMs.length);
  });
});

describe('the page of an experiment', () => {
  const run = (changes: Partial<Outcome>): Outcome => ({
    ...({ id: '', seed: 1, partition: 'hybrid', rule: 'deadline', trouble: 'loss-30' } as Outcome),
    curve: [
      { seconds: 5, step: 10, accuracy: 0.5 },
      { seconds: 10, step: 20, accuracy: 0.7 },
    ],
    ...changes,
  });

  it('draws the mean over seeds as far as all of them go', () => {
    const short = run({ seed: 2, curve: [{ seconds: 5, step: 9, accuracy: 0.3 }] });
    const [plot] = plotsOf([run({}), short], { ...FULL, everySeconds: 5 });
    assert.deepEqual(plot.seconds, [0, 5, 10]);
    assert.deepEqual(plot.lines[0].accuracy, [null, 0.4, null]);
  });

  it('holds all it needs, and no end of a script too early', () => {
    const plotting = { script: 'const uPlot = 1;', styles: '.u {}' };
    const page = experimentPage([run({ rule: '</script>' })], [summary({})], FULL, sweep, plotting);
    assert.ok(
      page.includes('const uPlot = 1;') &&
        page.includes('.u {}') &&
        page.includes('<td class="number">42 s</td>'),
    );
    assert.equal(page.split('</script>').length - 1, 3);
    assert.ok(!/(src|href)="/.test(page));
  });
});
