import type { BoundaryView, PartView } from '../partition/overview.ts';

/** Hues of lanes, told apart in light and dark and by most people who do not see all colours. */
const HUES = [165, 215, 30, 285, 340, 95, 250, 50];

/** The colour of the n-th peer of a plan, the same in every picture. */
export const hueOf = (holder: number): number => HUES[holder % HUES.length];

/** Up to so many lanes, each box has room for two lines below its name. */
const FEW_LANES = 4;

/** Of the stages of a plan whose largest has `most` lanes, and of the lowest box that its text takes. */
export function sizesRem(most: number): { stage: number; lowest: number } {
  if (most > FEW_LANES) return { stage: 10 + 3.5 * most, lowest: 3.25 };
  return { stage: most === 1 ? 8 : 6 + 4 * most, lowest: 4.5 };
}

/** Heights of the boxes of a stage, in proportion to their shares; small ones stay as high as their text. */
export function boxHeights(
  shares: readonly number[],
  { stage, lowest }: ReturnType<typeof sizesRem>,
): number[] {
  let open = shares.map((_, i) => i);
  const heights = new Array<number>(shares.length).fill(lowest);
  for (;;) {
    const left = stage - lowest * (shares.length - open.length);
    const all = open.reduce((sum, i) => sum + shares[i], 0);
    const high = open.filter((i) => left * shares[i] >= lowest * all);
    if (high.length === open.length) {
      for (const i of open) heights[i] = all > 0 ? (left * shares[i]) / all : left / open.length;
      return heights;
    }
    open = high;
  }
}

/** Lines of text that fit into a box of that height, below its name. */
export const linesIn = (heightRem: number): number => Math.max(1, Math.floor((heightRem - 1.875) / 1.25));

/** A layer, and how many of its units a lane has where it has not all. */
export const partText = ({ layer, units, of }: PartView): string =>
  units === of ? layer : `${layer}\u00a0${units}/${of}`;

/** A line from lane to lane between two stages, in a box of 100 by 100. */
export interface Ribbon {
  path: string;
  /** How much of the tensor goes this way, 0..1. */
  share: number;
  from: number;
}

/** Lines from the middles of boxes of these heights to the middles of those. */
export function ribbons(
  { flows }: BoundaryView,
  before: readonly number[],
  after: readonly number[],
): Ribbon[] {
  const [starts, ends] = [middles(before), middles(after)];
  return flows.map(({ from, to, share }) => ({
    path: `M0 ${starts[from]} C50 ${starts[from]} 50 ${ends[to]} 100 ${ends[to]}`,
    share,
    from,
  }));
}

function middles(heights: readonly number[]): number[] {
  const total = heights.reduce((sum, height) => sum + height, 0);
  let at = 0;
  return heights.map((height) => {
    at += height;
    return Number((((at - height / 2) / total) * 100).toFixed(2));
  });
}

/** Exchanges inside a stage in a few words: `3 x reduce, gather`. */
export function exchangesText(inner: readonly BoundaryView[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of inner) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, times]) => (times === 1 ? kind : `${times} × ${kind}`)).join(', ');
}
