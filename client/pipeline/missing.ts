import type { Op } from '../model/graph.ts';
import type { BlockSpec } from '../ports/compute.ts';
import type { SegmentView } from './assignment.ts';

/** After these a missing input is a missing unit before them, as if by dropout. */
const MIXING: ReadonlySet<Op['kind'] | 'narrow'> = new Set(['dense', 'conv2d']);
/** These would take zeros that stand for missing numbers into their statistics. */
const STATISTICAL: ReadonlySet<Op['kind'] | 'narrow'> = new Set([
  'batchNormalization',
  'layerNormalization',
  'softmax',
]);

/**
 * The segments (by their place in the block) that cannot do with missing input, because zero is not dropout there: slices of scores
 * right before the loss, or of what a normalization or softmax reads. Partial sums can be missing anywhere.
 */
export function wholeOnly(
  { segments, registers }: BlockSpec,
  views: readonly Pick<SegmentView, 'index' | 'takesSamples' | 'endsModel' | 'isSum'>[],
): Set<number> {
  const found = new Set<number>();
  /** By register: the segments with whose input its numbers may be missing. */
  const exposed = registers.map(() => new Set<number>());
  for (const { index, takesSamples, endsModel, isSum } of views) {
    const { input, ops } = segments[index];
    if (input !== null && !takesSamples && !isSum) exposed[input].add(index);
    for (const { op, inputs, output } of ops) {
      if (MIXING.has(op.kind)) continue;
      for (const source of inputs.flatMap((register) => [...exposed[register]])) {
        exposed[output].add(source);
        if (STATISTICAL.has(op.kind)) found.add(source);
      }
    }
    const scores = ops.at(-1)?.output ?? input;
    if (endsModel && scores !== null) for (const source of exposed[scores]) found.add(source);
  }
  return found;
}
