/** How figures are shown on a terminal. Pure. */

/** `8.4 s`, `1 min 20 s`, `2 h 05 min`. */
export function duration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  const minutes = Math.round(seconds / 60);
  return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
}

/** `812 B`, `3.1 MB`: decimal units. */
export function bytes(count: number): string {
  return scaled(count, ['B', 'kB', 'MB', 'GB', 'TB']);
}

/** `950 samples/s`, `12.3 k samples/s`. */
export function rate(perSecond: number): string {
  return `${perSecond < 10 ? perSecond.toFixed(1) : scaled(perSecond, ['', 'k', 'M'])} samples/s`;
}

/** `201 k`, `1.3 M`: how many there are, roughly. */
export function roughly(count: number): string {
  return scaled(count, ['', 'k', 'M', 'G']);
}

/** `10,000`. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}

/** `97.25%`. */
export function percent(share: number, digits = 2): string {
  return `${(100 * share).toFixed(digits)}%`;
}

/** Four significant digits, never in a form that people cannot read: `0.0942`, `2.303`. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 1e-4 && size < 1e6 ? String(Number(value.toPrecision(4))) : value.toExponential(2);
}

/** Rows below their heads in columns of equal width; columns whose cells are all numbers stand to the right. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = heads.map((head, i) => Math.max(head.length, ...rows.map((row) => row[i].length)));
  const isNumeric = heads.map(
    (_, i) =>
      rows.length > 0 && rows.every((row) => /^[\d.,]*( ?[A-Za-z%]+)?$/.test(row[i]) && /^\d/.test(row[i])),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (isNumeric[i] ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
      .join('  ')
      .trimEnd();
  return [line(heads), ...rows.map(line)];
}

/** A bar of `width` characters, filled up to `share`. */
export function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return '#'.repeat(filled) + '.'.repeat(width - filled);
}

/** A list as people write it: `a`, `a and b`, `a, b and c`. */
export function listed(items: readonly string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}

function scaled(count: number, units: readonly string[]): string {
  let value = count;
  let unit = 0;
  // 999.5 would be shown as 1000: that is the next unit's 1.0.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`.trimEnd();
}

const two = (value: number): string => String(value).padStart(2, '0');
