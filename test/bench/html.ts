import { escaped, pageHtml, tableHtml } from '../../client/cli/html.ts';
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
  const lead = `${machine}, ${startedAt.slice(0, 16).replace('T', ' ')} UTC`;
  const body = `<nav>${links.join(' ')}</nav>\n${benches.join('\n')}`;
  return pageHtml('EdgePipe bench', lead, body, `<style>${STYLES}</style>`);
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
        rows.map((cells) => ({ cells })),
      )
    : ''
}`;
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

const STYLES = `
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
`;
