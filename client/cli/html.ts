/** Pages that commands write: everything in one file, to be read without a network. Pure. */

export interface TableRow {
  cells: readonly string[];
  isMissed?: boolean;
}

/** A whole page. @param head what else belongs into its head: styles, scripts */
export const pageHtml = (title: string, lead: string, body: string, head = ''): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLES}</style>
${head}
</head>
<body>
<main>
<h1>${escaped(title)}</h1>
<p class="lead">${escaped(lead)}</p>
${body}
</main>
</body>
</html>
`;

/** Columns whose cells are all figures stand to the right. */
export function tableHtml(heads: readonly string[], rows: readonly TableRow[]): string {
  const isNumeric = heads.map((_, i) => rows.every(({ cells }) => /^[-\d.,]/.test(cells[i])));
  const cell = (tag: 'td' | 'th', text: string, i: number) =>
    `<${tag}${isNumeric[i] ? ' class="number"' : ''}>${escaped(text)}</${tag}>`;
  const body = rows.map(
    ({ cells, isMissed = false }) =>
      `<tr${isMissed ? ' class="missed"' : ''}>${cells.map((text, i) => cell('td', text, i)).join('')}</tr>`,
  );
  return `<div class="scroll"><table>
<thead><tr>${heads.map((head, i) => cell('th', head, i)).join('')}</tr></thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}

export const escaped = (text: string): string =>
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
@media (max-width: 40rem) { td:not(.number), th { white-space: normal; } }
figcaption { font-size: 0.85rem; }
`;
