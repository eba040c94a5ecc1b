import { FlagError, readFlags, readWhole } from '../../shared/flags.ts';
import { table } from '../../client/cli/progress.ts';
import { scriptOf, withPages } from './pages.ts';
import type { ProgramsCase, ProgramTime } from './programs-page.ts';
import { median } from './result.ts';

/**
 * What each WebGL program of a step takes, for the whole model in one block and for a lane that holds a part of it, waiting for the
 * device after each; a browser on one processor. The sums say what a lane costs beyond its share.
 *
 *   node --import tsx test/bench/programs.ts [--model cnn:16-32-128] [--batch 256] [--micro-batches 1] [--lanes 1,2] [--splits columns,columns,rows,columns]
 */
const given = readFlags(process.argv.slice(2), {
  model: { example: '--model cnn:16-32-128' },
  batch: { example: '--batch 256' },
  'micro-batches': { example: '--micro-batches 1' },
  lanes: { example: '--lanes 1,2' },
  splits: { example: '--splits columns,columns,rows,columns' },
  turns: { example: '--turns 3' },
});
const text = (flag: Parameters<typeof given.get>[0], otherwise: string) =>
  String(given.get(flag) ?? otherwise);
const whole = (flag: 'batch' | 'micro-batches' | 'lanes' | 'turns', value: string, max: number) =>
  readWhole(flag, value, { min: 1, max }, `--${flag} 1`);
const splits = text('splits', 'columns,columns,rows,columns').split(',');
if (!splits.every((split) => split === 'columns' || split === 'rows'))
  throw new FlagError('--splits takes a list of columns and rows, one for each product.');
const script = await scriptOf('programs-page.ts');
for (const lanes of text('lanes', '1,2').split(',')) {
  const wish: ProgramsCase = {
    model: text('model', 'cnn:16-32-128'),
    batch: whole('batch', text('batch', '256'), 65_536),
    microBatches: whole('micro-batches', text('micro-batches', '1'), 1024),
    lanes: whole('lanes', lanes, 16),
    splits,
    turns: whole('turns', text('turns', '3'), 1000),
  };
  const programs = await withPages({ script, pages: 1, browser: null, processor: 0 }, ([page]) =>
    page.evaluate(
      (chosen) =>
        (
          globalThis as unknown as { programTimes: (wish: ProgramsCase) => Promise<ProgramTime[]> }
        ).programTimes(chosen),
      wish,
    ),
  );
  const rows = programs
    .map(({ program, runs, times }) => ({ program, runs, ms: median(times) }))
    .sort((a, b) => b.ms - a.ms);
  const sum = rows.reduce((total, { ms }) => total + ms, 0);
  console.log(
    `\n${wish.model}, ${wish.microBatches} micro-batches, 1 of ${lanes} lanes: ${sum.toFixed(0)} ms`,
  );
  console.log(
    table(
      ['program', 'runs', 'ms'],
      rows.map(({ program, runs, ms }) => [program, String(runs), ms.toFixed(1)]),
    ).join('\n'),
  );
}
