/** What a sub-command of the bench gives: tables for people, figures for plots, and what they are held against. */
export interface BenchResult {
  bench: string;
  /** What was measured, in one line. */
  title: string;
  sections: Section[];
  goals: Goal[];
}

export interface Section {
  title: string;
  /** How to read it. */
  note: string;
  heads: string[];
  rows: string[][];
  /** One bar for a row or so; none where a table says it all. */
  bars: Bar[];
  /** What bars are in, such as `times plain tfjs`. */
  unit: string;
  /** A line across the bars. */
  mark?: number;
}

export interface Bar extends Summary {
  label: string;
}

/** What is wanted of a figure. */
export interface Goal {
  what: string;
  value: number;
  bound: number;
  /** `least`: at least the bound; `most`: at most. */
  kind: 'least' | 'most';
  unit: string;
}

/** Several measurements of one thing. */
export interface Summary {
  median: number;
  least: number;
  most: number;
  count: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export function summaryOf(values: readonly number[]): Summary {
  return {
    median: median(values),
    least: Math.min(...values),
    most: Math.max(...values),
    count: values.length,
  };
}

/** `1.21 (1.18 to 1.25)`: the median, and the least and the most. */
export const shown = ({ median: middle, least, most, count }: Summary, digits = 2): string =>
  count < 2
    ? middle.toFixed(digits)
    : `${middle.toFixed(digits)} (${least.toFixed(digits)} to ${most.toFixed(digits)})`;

export const holds = ({ value, bound, kind }: Goal): boolean =>
  kind === 'least' ? value >= bound : value <= bound;

export function goalRow(goal: Goal): string[] {
  const { what, value, bound, kind, unit } = goal;
  const digits = Math.abs(bound) < 1 ? 3 : 2;
  const figure = (x: number) => `${x.toFixed(digits)}${unit}`;
  return [what, figure(value), `at ${kind} ${figure(bound)}`, holds(goal) ? 'yes' : 'NO'];
}

export const GOAL_HEADS = ['what', 'measured', 'wanted', 'holds'];
