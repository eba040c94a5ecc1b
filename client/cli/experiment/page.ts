import { escaped, pageHtml, tableHtml } from '../html.ts';
import { TROUBLES, type Settings } from './grid.ts';
import { accuracyAt, type Outcome } from './outcome.ts';
import { aboutText, sectionsOf, sweepText, wayOf } from './tables.ts';
import type { Summary } from './outcome.ts';
import type { Sweep } from './sweep.ts';

/** What draws plots in the page: uPlot's script and styles, as text. */
export interface Plotting {
  script: string;
  styles: string;
}

/** One plot: its lines over common times; null where a line has ended. */
export interface Plot {
  title: string;
  seconds: number[];
  lines: { name: string; partition: string; rule: string; accuracy: (number | null)[] }[];
}

/** Mean curves over seeds for each trouble. */
export function plotsOf(outcomes: readonly Outcome[], { everySeconds }: Settings): Plot[] {
  return TROUBLES.flatMap(({ name, title }): Plot[] => {
    const here = outcomes.filter(({ trouble, curve }) => trouble === name && curve.length > 0);
    if (here.length === 0) return [];
    const ends = here.map(({ curve }) => curve.at(-1)!.seconds);
    const count = Math.ceil(Math.max(...ends) / everySeconds);
    const seconds = Array.from({ length: count + 1 }, (_, i) => i * everySeconds);
    const ways = [...new Set(here.map(wayOf))];
    const lines = ways.map((way) => {
      const runs = here.filter((outcome) => wayOf(outcome) === way);
      const end = Math.min(...runs.map(({ curve }) => curve.at(-1)!.seconds));
      const meanAt = (second: number) =>
        runs.reduce((sum, { curve }) => sum + accuracyAt(second, curve), 0) / runs.length;
      const { partition, rule } = runs[0];
      const accuracy = seconds.map((second) =>
        second === 0 || second > end + everySeconds / 2 ? null : Number(meanAt(second).toFixed(4)),
      );
      return { name: way, partition, rule, accuracy };
    });
    return [{ title, seconds, lines }];
  });
}

/** One page with tables and plots, everything in it. */
export function experimentPage(
  outcomes: readonly Outcome[],
  summaries: readonly Summary[],
  settings: Settings,
  sweep: Sweep,
  plotting: Plotting,
): string {
  const tables = sectionsOf(summaries, settings).map(
    ({ title, note, rows: [heads, ...rows] }) =>
      `<h2>${escaped(title)}</h2><p>${escaped(note)}</p>${tableHtml(
        heads,
        rows.map((cells) => ({ cells })),
      )}`,
  );
  const data = JSON.stringify({ plots: plotsOf(outcomes, settings), target: settings.target });
  const body = `<p>${escaped(sweepText(sweep))}</p>
${tables[0]}
<h2>Accuracy against wall clock</h2>
<p>Test images that are right, by seconds of training. A colour is a partition, a dash pattern a rule; the thin line is the target.
A click on a name takes a line away, dragging looks closer, a double click shows all.</p>
<div id="plots"></div>
${tables.slice(1).join('\n')}
<script type="application/json" id="data">${data.replaceAll('<', '\\u003c')}</script>
<script>${plotting.script}</script>
<script>${DRAWING}</script>`;
  const head = `<style>${plotting.styles}\n.uplot { margin-bottom: 1.5rem; }</style>`;
  return pageHtml('EdgePipe: volatile links', aboutText(settings), body, head);
}

/** Runs in the page. */
const DRAWING = `
const { plots, target } = JSON.parse(document.getElementById('data').textContent);
const colours = { hybrid: '#1f77b4', vertical: '#d1495b', horizontal: '#2e933c', auto: '#8a5cd1' };
const dashes = { deadline: [], repair: [8, 4], stall: [2, 3], discard: [12, 4, 2, 4] };
const ink = getComputedStyle(document.body).color;
const place = document.getElementById('plots');
for (const { title, seconds, lines } of plots) {
  const series = lines.map(({ name, partition, rule }) => ({
    label: name, stroke: colours[partition], dash: dashes[rule], width: 2, points: { show: false },
    value: (_, share) => share == null ? '' : (100 * share).toFixed(1) + '%',
  }));
  const axis = { stroke: ink, grid: { stroke: '#8884', width: 1 }, ticks: { show: false } };
  const most = Math.max(target, ...lines.flatMap(({ accuracy }) => accuracy));
  new uPlot({
    title, width: Math.min(860, place.clientWidth), height: 340,
    scales: { x: { time: false }, y: { range: [Math.max(0, Math.min(0.8, 2 * target - most - 0.1)), Math.min(1, most + 0.01)] } },
    axes: [{ ...axis, label: 'seconds' }, { ...axis, values: (_, ticks) => ticks.map((share) => Math.round(1000 * share) / 10 + '%') }],
    series: [{ label: 'seconds' }, ...series, { label: 'target', stroke: ink, width: 0.5, points: { show: false } }],
  }, [seconds, ...lines.map(({ accuracy }) => accuracy), seconds.map(() => target)], place);
}
`;
