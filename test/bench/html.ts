import { GOAL_HEADS, goalRow, holds, type Bar, type BenchResult, type Goal, type Section } from './result.ts';

/** One page with everything in it: no script, no file beside it. */
export function htmlPage(
  { startedAt, machine }: { startedAt: string; machine: string },
  results: readonly BenchResult[],
): string {
  const benches = results.map(
    ({ bench, title, sections, goals }) => `
<section id="${escaped(bench)}">
<h2>${escaped(bench)}</h2>
<p class="lead">${escaped(title)}</p>
${goals.length > 0 ? goalTable(goals) : ''}
${sections.map(sectionHtml).join('\n')}
</section>`,
  );
  const links = results.map(({ bench }) => `<a href="#${escaped(bench)}">${escaped(bench)}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>EdgePipe bench</title>
<style>${STYLES}</style>
</head>
<body>
<main>
<h1>EdgePipe bench</h1>
<p class="lead">${escaped(machine)}, ${escaped(startedAt.slice(0, 16).replace('T', ' '))} UTC</p>
<nav>${links.join(' ')}</nav>
${benches.join('\n')}
</main>
</body>
</html>
`;
}

function goalTable(goals: readonly Goal[]): string {
  const rows = goals.map((goal) => ({ cells: goalRow(goal), isMissed: !holds(goal) }));
  return tableHtml(GOAL_HEADS, rows);
}

function sectionHtml({ title, note, heads, rows, bars, unit, mark }: Section): string {
  return `<h3>${escaped(title)}</h3>
<p>${escaped(note)}</p>
${bars.length > 0 ? plot(bars, unit, mark) : ''}
${
  rows.length > 0
    ? tableHtml(
        heads,
        rows.map((cells) => ({ cells, isMissed: false })),
      )
    : ''
}`;
}

function tableHtml(
  heads: readonly string[],
  rows: readonly { cells: readonly string[]; isMissed: boolean }[],
): string {
  const isNumeric = heads.map((_, i) => rows.every(({ cells }) => /^[-\d.,]/.test(cells[i])));
  const cell = (tag: 'td' | 'th', text: string, i: number) =>
    `<${tag}${isNumeric[i] ? ' class="number"' : ''}>${escaped(text)}</${tag}>`;
  const body = rows.map(
    ({ cells, isMissed }) =>
      `<tr${isMissed ? ' class="missed"' : ''}>${cells.map((text, i) => cell('td', text, i)).join('')}</tr>`,
  );
  return `<div class="scroll"><table>
<thead><tr>${heads.map((head, i) => cell('th', head, i)).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

/** Bars of medians with a line from the least to the most. */
function plot(bars: readonly Bar[], unit: string, mark?: number): string {
  const most = Math.max(...bars.map((bar) => bar.most), mark ?? 0) || 1;
  const share = (value: number) => `${((100 * Math.max(0, value)) / most).toFixed(2)}%`;
  const digits = most >= 100 ? 0 : most >= 10 ? 1 : 2;
  const line = mark === undefined ? '' : `<i class="mark" style="left:${share(mark)}"></i>`;
  const rows = bars.map(({ label, median, least, most: top, count }) => {
    const spread =
      count < 2
        ? ''
        : `<i class="spread" style="left:${share(least)};width:calc(${share(top)} - ${share(least)})"></i>`;
    return `<li>${escaped(label)} <b>${median.toFixed(digits)}</b>
<div class="track"><i class="bar" style="width:${share(median)}"></i>${spread}${line}</div></li>`;
  });
  const caption = `${escaped(unit)}${mark === undefined ? '' : `; the dashed line is at ${mark}`}`;
  return `<figure>
<ul>
${rows.join('\n')}
</ul>
<figcaption>${caption}</figcaption>
</figure>`;
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const STYLES = `
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60666c; --page: #fff; --line: #d9dde1; --bar: #3b82c4; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a0a6ad; --page: #15181b; --line: #363b41; --bar: #4f94d4; --bad: #ff8a80; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 0; }
p { margin: 0.3rem 0 0.8rem; }
.lead, figcaption { color: var(--soft); }
nav a { margin-right: 0.9rem; color: var(--bar); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; margin: 0.5rem 0; }
th, td { text-align: left; padding: 0.25rem 1rem 0.25rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { font-weight: 600; }
.number { text-align: right; }
.missed td { color: var(--bad); }
figure { margin: 0.8rem 0; max-width: 40rem; }
ul { list-style: none; margin: 0; padding: 0; }
li { margin-bottom: 0.5rem; font-size: 0.9rem; }
li b { font-variant-numeric: tabular-nums; }
.track { position: relative; height: 1rem; }
.track i { position: absolute; display: block; }
.bar { top: 0; bottom: 0; background: var(--bar); border-radius: 2px; }
.spread { top: 0.2rem; bottom: 0.2rem; border: solid var(--ink); border-width: 0 1.5px; }
.spread::before { content: ''; position: absolute; inset: calc(50% - 0.75px) 0 auto; border-top: 1.5px solid var(--ink); }
.mark { top: -0.2rem; bottom: -0.2rem; border-left: 2px dashed var(--bad); }
@media (max-width: 40rem) { td:not(.number), th { white-space: normal; } }
figcaption { font-size: 0.85rem; }
`;
