import type { PartFrame } from '../../shared/frames.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { partitionOfPlan, planTag } from './assignment.ts';

/** Whose frame it is, and whose it is to be. */
export interface Route {
  origin: PeerId;
  to: PeerId;
}

/** Parts go several times, and some of them by way of others, only where they may get lost and nobody asks for them again. */
export const takesDetours = ({ rule, copies }: Pick<RunConfig, 'rule' | 'copies'>): boolean =>
  rule === 'deadline' && copies !== false;

/**
 * The way of a frame that a third peer passes on, by the plan that both ends have; otherwise why there is none, as a short stable word.
 * The header says the lanes, the plan says who they are.
 */
export function routeOf(plan: Plan, config: RunConfig, frame: PartFrame, toLane: number): Route | string {
  if (frame.planTag !== planTag(plan) || frame.version !== plan.version) return 'part-other-plan';
  const { segments, stages, boundaries } = partitionOfPlan(plan, config);
  if (frame.boundary >= boundaries.length) return 'part-wrong-boundary';
  const [before, after] = [0, 1].map((beyond) => stages[segments[frame.boundary + beyond].stage].lanes);
  const [senders, receivers] = frame.kind === 'forward' ? [before, after] : [after, before];
  const [origin, to] = [senders.at(frame.lane), receivers.at(toLane)];
  if (origin === undefined || to === undefined || origin === to) return 'part-wrong-sender';
  return { origin, to };
}
