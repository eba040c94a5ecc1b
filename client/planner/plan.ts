import { capsOfStages } from './caps.ts';
import type { PeerId } from '../../shared/ids.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan, Source, Term } from '../../shared/schema/plan.ts';
import { decide } from './decision.ts';
import { ordersOf, type UnitScores } from './importance.ts';
import type { PlannerLink } from './links.ts';
import { memoryOf } from './predict.ts';
import type { Device } from './profile.ts';

export type { PlannerLink } from './links.ts';
export type { Device } from './profile.ts';

export interface PlanRequest {
  term: Term;
  version: number;
  run: number;
  startStep: number;
  endStep: number;
  config: RunConfig;
  /** Peers that take a block, as they were measured. */
  devices: readonly Device[];
  /** Everybody in the room, for standing by and for keeping data. */
  peers: readonly PeerId[];
  /** Who has state of which layer. */
  sources: Source[];
  links: readonly PlannerLink[];
  /** Of units, as far as it was measured. */
  importance: readonly UnitScores[];
}

/** The plan for a run: who holds what, in which order units are cut. Throws a message for people if nobody can. */
export function makePlan(request: PlanRequest): Plan {
  const { config, devices, peers, importance } = request;
  if (devices.length === 0) throw new Error('No peer takes a block: everybody declined.');
  const decision = decide(config, devices, request.links, importance);
  if (typeof decision === 'string') throw new Error(decision);
  const { problem, chosen, why } = decision;
  const { stages, partition, stepMs, stageMs } = chosen;
  const caps = capsOfStages(problem, partition);
  const holding = new Set(stages.flatMap(({ lanes }) => lanes));
  return {
    term: request.term,
    version: request.version,
    run: request.run,
    startStep: request.startStep,
    endStep: request.endStep,
    stages,
    wire: problem.wire,
    caps,
    orders: ordersOf(problem.graph, stages, importance, config.ordering ?? 'importance', config.seed),
    sources: [...request.sources],
    standby: peers.filter((peer) => !holding.has(peer)),
    dataHomes: [...peers],
    predicted: {
      stepMs: Math.min(stepMs, 1e9),
      stageMs: stageMs.map((ms) => Math.min(ms, 1e9)),
      memoryBytes: memoryOf(problem, partition, caps),
      why: why.slice(0, LIMITS.run.whyChars),
    },
  };
}
