import type { Split } from '../../shared/schema/plan.ts';

/**
 * How a tensor lies over the lanes of a stage. `slices`: each lane has a run of its units. `copies`: every lane has all of it.
 * `partial`: every lane has a summand of all of it. `owner`: one lane has all of it.
 */
export type Layout = 'slices' | 'copies' | 'partial' | 'owner';

/** For keys of numbers. */
export const LAYOUT_CODES: Readonly<Record<Layout, number>> = { slices: 0, copies: 1, partial: 2, owner: 3 };

/** Of a tensor, from -1 on, in a layout. */
export const spreadKey = (tensor: number, layout: Layout): number => 4 * (tensor + 1) + LAYOUT_CODES[layout];

/** What a node reads and writes under a split. */
export const LAYOUTS: Readonly<Record<Split, { reads: Layout; writes: Layout }>> = {
  columns: { reads: 'copies', writes: 'slices' },
  rows: { reads: 'slices', writes: 'partial' },
  slices: { reads: 'slices', writes: 'slices' },
  copies: { reads: 'copies', writes: 'copies' },
  owner: { reads: 'owner', writes: 'owner' },
  summand: { reads: 'partial', writes: 'partial' },
};

/** True where `from` becomes `to` within each lane: a copy holds every slice of itself. */
export const isLocal = (from: Layout, to: Layout): boolean =>
  from === to || (from === 'copies' && to !== 'partial');

/** Sums are completed by a `reduce`, runs of units only move by a `slice`, everything else gathers. */
export function boundaryKind(from: Layout, to: Layout): 'slice' | 'gather' | 'reduce' {
  if (from === 'partial') return 'reduce';
  return to === 'slices' ? 'slice' : 'gather';
}
