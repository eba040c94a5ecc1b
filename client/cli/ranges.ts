import type { NumberRange } from '../../shared/flags.ts';

interface Action {
  type?: string;
  requirement?: unknown;
  pipe?: readonly unknown[];
  wrapped?: unknown;
}

/** The bounds that a schema of a number states, so that flags and messages agree with it. */
export function rangeOf(schema: unknown): NumberRange {
  const bounds = actionsOf(schema);
  const find = (type: string) =>
    bounds.find((action) => action.type === type)?.requirement as number | undefined;
  const above = find('gt_value');
  return {
    min: above ?? find('min_value') ?? -Infinity,
    max: find('max_value') ?? Infinity,
    ...(above !== undefined && { aboveMin: true }),
  };
}

function actionsOf(schema: unknown): Action[] {
  const { wrapped, pipe = [] } = schema as Action;
  if (wrapped !== undefined) return actionsOf(wrapped);
  return pipe.flatMap((item) => (item === schema ? [] : [item as Action, ...actionsOf(nested(item))]));
}

/** A pipe's first item is the schema it refines, which may be a pipe itself. */
const nested = (item: unknown): unknown => ((item as Action).pipe ? item : {});
