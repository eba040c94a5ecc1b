import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  bar,
  bytes,
  duration,
  figure,
  grouped,
  listed,
  percent,
  rate,
  roughly,
  table,
} from '../../client/cli/progress.ts';
import { Terminal } from '../../client/cli/terminal.ts';

describe('figures', () => {
  const cases: [shown: string, as: string][] = [
    [duration(0), '0.0 s'],
    [duration(8440), '8.4 s'],
    [duration(9960), '10 s'],
    [duration(59_600), '1 min 00 s'],
    [duration(80_000), '1 min 20 s'],
    [duration(3_599_600), '1 h 00 min'],
    [duration(7_500_000), '2 h 05 min'],
    [bytes(0), '0 B'],
    [bytes(812), '812 B'],
    [bytes(999), '999 B'],
    [bytes(1000), '1.0 kB'],
    [bytes(999_400), '999 kB'],
    [bytes(999_600), '1.0 MB'],
    [bytes(3_140_000), '3.1 MB'],
    [bytes(2.5e15), '2500 TB'],
    [rate(4.27), '4.3 samples/s'],
    [rate(950), '950 samples/s'],
    [rate(12_345), '12.3 k samples/s'],
    [roughly(650), '650'],
    [roughly(200_960), '201 k'],
    [grouped(10_000), '10,000'],
    [percent(0.97249), '97.25%'],
    [percent(0.5, 0), '50%'],
    [figure(0.094231), '0.09423'],
    [figure(2.302585), '2.303'],
    [figure(0), '0'],
    [figure(1.5e-9), '1.50e-9'],
    [figure(NaN), 'NaN'],
    [bar(0, 4), '....'],
    [bar(0.5, 4), '##..'],
    [bar(2, 4), '####'],
    [listed([]), ''],
    [listed(['a']), 'a'],
    [listed(['a', 'b']), 'a and b'],
    [listed(['a', 'b', 'c']), 'a, b and c'],
  ];
  for (const [shown, as] of cases) it(`shows ${as}`, () => assert.equal(shown, as));

  it('lines up columns, numbers to the right', () => {
    const rows = [
      ['peer 1', '200,960', '31%'],
      ['peer 12', '650', '4%'],
    ];
    assert.deepEqual(table(['peer', 'parameters', ''], rows), [
      'peer     parameters',
      'peer 1      200,960  31%',
      'peer 12         650   4%',
    ]);
    assert.deepEqual(table(['a', 'b'], []), ['a  b']);
  });
});

describe('terminal', () => {
  function screen(isTTY: boolean) {
    const clock = { ms: 0 };
    const written: string[] = [];
    const output = { isTTY, columns: 30, write: (text: string) => written.push(text) };
    return { clock, written, terminal: new Terminal(output, () => clock.ms) };
  }

  it('redraws the status below the lines on a terminal', () => {
    const { terminal, written } = screen(true);
    terminal.status('one');
    terminal.line('stays');
    terminal.status('two');
    terminal.clear();
    terminal.line('end');
    assert.deepEqual(written, [
      '\r\x1b[2Kone',
      '\r\x1b[2Kstays\none',
      '\r\x1b[2Ktwo',
      '\r\x1b[2K',
      '\r\x1b[2Kend\n',
    ]);
  });

  it('never lets the status wrap', () => {
    const { terminal, written } = screen(true);
    terminal.status('x'.repeat(100));
    assert.equal(written[0], `\r\x1b[2K${'x'.repeat(29)}`);
  });

  it('writes a status every few seconds into a file', () => {
    const { terminal, written, clock } = screen(false);
    for (; clock.ms <= 10_000; clock.ms += 250) terminal.status(`at ${clock.ms}`);
    terminal.line('end');
    assert.deepEqual(written, ['at 0\n', 'at 5000\n', 'at 10000\n', 'end\n']);
  });
});
