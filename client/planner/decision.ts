import type { RunConfig } from '../../shared/schema/config.ts';
import type { WireFormat } from '../../shared/wire.ts';
import { chosenFrom, optionsFor, type Option } from './choice.ts';
import type { UnitScores } from './importance.ts';
import type { PlannerLink } from './links.ts';
import { problemOf, type Device, type Problem } from './profile.ts';
import { whyChosen, whyNone } from './why.ts';

/** What the planner takes, of what it weighed. */
export interface Decision {
  problem: Problem;
  /** Rehearsed plans of the kinds that the run allows, best first. */
  options: readonly Option[];
  chosen: Option;
  /** For people. */
  why: string;
}

/** `auto` rounds numbers to int8 only where a step would take at least so many times as long without. */
const ROUNDING_WORTH = 1.1;

/** The best plan for a room, or a message for people where there is none. */
export function decide(
  config: RunConfig,
  devices: readonly Device[],
  links: readonly PlannerLink[],
  importance: readonly UnitScores[],
): Decision | string {
  const withWire = (wire?: WireFormat) =>
    decideOn(problemOf(config, devices, links, importance, wire), config);
  const exact = withWire();
  // Without a rule a run is exact. Where parts get lost it is not anyway, and fewer bytes get lost less.
  if (typeof exact === 'string' || config.wire !== 'auto' || config.rule === undefined) return exact;
  const rounded = withWire('int8');
  if (typeof rounded === 'string') return exact;
  const ratio = exact.chosen.stepMs / rounded.chosen.stepMs;
  if (ratio < ROUNDING_WORTH) return exact;
  const gain = `Parts travel as int8: as float32 a step would take ${Math.round(100 * (ratio - 1))}% more.`;
  return { ...rounded, why: `${rounded.why} ${gain}` };
}

function decideOn(problem: Problem, config: RunConfig): Decision | string {
  const options = optionsFor(problem, config);
  if (options.length === 0) return whyNone(problem, config);
  const chosen = chosenFrom(options, config.partition);
  return { problem, options, chosen, why: whyChosen(problem, chosen, options, config) };
}
