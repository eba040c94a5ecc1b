import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Stage, StageCaps } from '../../shared/schema/plan.ts';
import { programOf } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';
import { oneLaneStage, slicingsFor } from '../partition/stages.ts';
import { capsOfStages } from './caps.ts';
import type { Tail } from './cost-model.ts';
import type { PlannerLink } from './links.ts';
import { blockBytes } from './memory.ts';
import { problemOf, type Device, type Problem } from './profile.ts';
import { rehearse } from './rehearsal.ts';
import { boundaryBytes } from '../partition/traffic.ts';

export interface Prediction {
  stepMs: number;
  /** Busy time of each stage's slowest lane in one step. */
  stageMs: number[];
  /** Upper bound of the tensor bytes of each block, stage by stage, lane by lane. */
  memoryBytes: number[][];
  /** What crosses each boundary with one micro-batch in one direction, headers included. */
  boundaryBytes: number[];
}

/** What a partition will take on measured devices and links. Throws where a device is missing. */
export function predictStep(
  partition: Partition,
  devices: readonly Device[],
  links: readonly PlannerLink[],
  config: RunConfig,
): Prediction {
  return predict(problemOf(config, devices, links, []), partition);
}

export function predict(problem: Problem, partition: Partition): Prediction {
  const { rows, wire } = problem;
  return {
    ...paceOf(problem, partition),
    memoryBytes: memoryOf(problem, partition),
    boundaryBytes: partition.boundaries.map(({ index }) => boundaryBytes(partition, index, rows, wire)),
  };
}

/** Upper bound of the tensor bytes of each block, stage by stage, lane by lane. */
export function memoryOf(
  problem: Problem,
  partition: Partition,
  caps: readonly StageCaps[] = capsOfStages(problem, partition),
): number[][] {
  const { rows, optimizerArrays } = problem;
  return partition.stages.map(({ lanes }, stage) => {
    return lanes.map((_, lane) =>
      blockBytes(programOf(partition, stage, lane), optimizerArrays, rows, caps[stage].kept),
    );
  });
}

/** More micro-batches than these only add as much time each as the last ones did. */
const MICRO_BATCHES_PLAYED = 16;

/** The first steps differ, and later ones may take turns of two. */
export const STEPS_PLAYED = 5;

/** Step time and busy times, by the last two of at most so many steps. */
export function paceOf(
  problem: Problem,
  partition: Partition,
  steps = STEPS_PLAYED,
): Pick<Prediction, 'stepMs' | 'stageMs'> {
  const { workers, microBatches } = problem;
  const workerOf = new Map<PeerId, number>(workers.map(({ peer }, i) => [peer, i]));
  const stranger = partition.stages.flatMap(({ lanes }) => lanes).find((peer) => !workerOf.has(peer));
  if (stranger !== undefined) throw new Error(`There is no measured device ${stranger}.`);
  const play = (count: number) => rehearse(partition, problem, workerOf, { steps, microBatches: count });
  if (microBatches <= MICRO_BATCHES_PLAYED) return play(microBatches);
  // Micro-batches go in rounds of as many as the first stage may have in flight.
  const round = capsOfStages(problem, partition)[0].inFlight;
  const most = Math.max(MICRO_BATCHES_PLAYED, 3 * round);
  if (microBatches <= most) return play(microBatches);
  const [fewer, all] = [play(most - round), play(most)];
  return {
    stepMs: all.stepMs + ((microBatches - most) / round) * (all.stepMs - fewer.stepMs),
    stageMs: all.stageMs.map((ms) => (ms * microBatches) / most),
  };
}

/** The stages of a plan as they travel. */
export function stagesOf({ graph, workers, classOfSpace }: Problem, tail: Tail): Stage[] {
  const stages: Stage[] = [];
  for (let at: Tail | null = tail; at; at = at.next) {
    const { layout, crew } = at;
    const nodes: [number, number] = [layout.start, layout.end];
    const lanes = crew.lanes.map((worker) => workers[worker].peer);
    if (layout.isOneLane) {
      stages.push(oneLaneStage(nodes, lanes[0]));
      continue;
    }
    const { splits } = layout.detail();
    const slicings = slicingsFor(graph, nodes, splits, (space) => [...crew.cutsOf(classOfSpace[space])]);
    stages.push({ nodes, splits, lanes, slicings, owner: 0, deputy: Math.min(1, lanes.length - 1) });
  }
  return stages;
}
