import { PART_FRAME_NUMBERS } from '../../shared/frames.ts';
import { LIMITS } from '../../shared/limits.ts';
import type { Crew, CrewLinks, Crews } from './crew.ts';
import type { ExchangeLoad, StageLoad } from './loads.ts';
import { laneBytes } from './memory.ts';
import type { Problem } from './profile.ts';

/** What one micro-batch costs a stage. */
export interface StageCost {
  /** Of the slowest lane. */
  forwardMs: number;
  backwardMs: number;
  /** Forward and backward of the busiest lane. */
  busyMs: number;
  /** Waiting for exchanges within the stage, there and back. */
  waitMs: number;
  /** Most that one link within the stage carries in one direction. */
  linkMs: number;
  /** Time on all links together, there and back. */
  trafficMs: number;
  /** False where a lane would hold no parameters. */
  isWhole: boolean;
  /** Importance of what may fail to come: share of the model that each lane has, times its unreliability. */
  risk: number;
}

/** Frames carry a header. */
export const WIRE_SHARE = LIMITS.link.frameBytes / (4 * PART_FRAME_NUMBERS);

export function stageCost(problem: Problem, load: StageLoad, crew: Crew): StageCost {
  const { classes, forwardMs, backwardMs, operations, stateBytes, amongAll, withOwner } = load;
  const { workers } = problem;
  const segments = 1 + amongAll.count + withOwner.count;
  const whole = classes.length;
  const fractions: (readonly number[])[] = [];
  const shares: (readonly number[])[] = [];
  for (const unitClass of classes) {
    fractions.push(crew.fractionsOf(unitClass));
    shares.push(crew.importanceOf(unitClass));
  }
  const cost = { forwardMs: 0, backwardMs: 0, busyMs: 0, risk: 0, isWhole: true };
  for (let k = 0; k < crew.lanes.length; k++) {
    const { taskMs, reliability } = workers[crew.lanes[k]];
    const at = crew.lanes[k] * (whole + 2);
    let forward = segments * taskMs + forwardMs[at + whole];
    let backward = segments * taskMs + backwardMs[at + whole];
    let importance = operations[whole] / crew.lanes.length;
    let ownBytes = 0;
    for (let slot = 0; slot < whole; slot++) {
      const share = fractions[slot][k];
      ownBytes += share * stateBytes[slot];
      forward += share * forwardMs[at + slot];
      backward += share * backwardMs[at + slot];
      importance += operations[slot] * shares[slot][k];
    }
    if (k === 0) {
      ownBytes += stateBytes[whole + 1];
      forward += forwardMs[at + whole + 1];
      backward += backwardMs[at + whole + 1];
      importance += operations[whole + 1];
    }
    if (ownBytes === 0 && crew.lanes.length > 1) cost.isWhole = false;
    cost.forwardMs = Math.max(cost.forwardMs, forward);
    cost.backwardMs = Math.max(cost.backwardMs, backward);
    cost.busyMs = Math.max(cost.busyMs, forward + backward);
    cost.risk += importance * (1 - reliability);
  }
  const all = exchangeCost(amongAll, amongAll.count > 0 ? crew.amongAll : null);
  const owner = exchangeCost(withOwner, withOwner.count > 0 ? crew.withOwner : null);
  return {
    ...cost,
    waitMs: 2 * (all.waitMs + owner.waitMs),
    linkMs: 2 * (all.linkMs + owner.linkMs),
    trafficMs: 2 * (all.trafficMs + owner.trafficMs),
  };
}

function exchangeCost({ count, shareBytes, wholeBytes }: ExchangeLoad, links: CrewLinks | null) {
  if (!links) return { waitMs: 0, linkMs: 0, trafficMs: 0 };
  const linkMs = times(shareBytes, links.shareMsPerByte) + times(wholeBytes, links.wholeMsPerByte);
  const trafficMs = times(shareBytes, links.shareTrafficMs) + times(wholeBytes, links.wholeTrafficMs);
  return { waitMs: count * links.latencyMs + linkMs, linkMs, trafficMs };
}

/** Nothing takes no time, however slow the link. */
const times = (bytes: number, msPerByte: number): number => (bytes > 0 ? bytes * WIRE_SHARE * msPerByte : 0);

/** True where each lane has room for its part. */
export const hasRoom = (problem: Problem, load: StageLoad, crew: Crew, inFlight: number): boolean =>
  crew.lanes.every((worker, k) => laneBytes(load, crew, k, inFlight) <= problem.workers[worker].memoryBytes);

/** Rounds of moving units from lanes without room to the others. */
const CAPPING_ROUNDS = 24;

/**
 * A crew whose lanes have room for their parts of a stage: who has too little gets what fits, the others share the rest by speed.
 * Null where there is none.
 */
export function cappedCrew(
  problem: Problem,
  crews: Crews,
  load: StageLoad,
  crew: Crew,
  inFlight: number,
): Crew | null {
  const { workers } = problem;
  const caps = new Map<number, number>();
  let fitted = crew;
  for (let round = 0; round < CAPPING_ROUNDS; round++) {
    const over = crew.lanes.flatMap((worker, k) => {
      const bytes = laneBytes(load, fitted, k, inFlight);
      return bytes > workers[worker].memoryBytes ? [{ k, part: workers[worker].memoryBytes / bytes }] : [];
    });
    if (over.length === 0) return fitted;
    // What is not shared out stays whatever the share, so it takes a few rounds.
    for (const { k, part } of over) caps.set(k, fitted.shares[k] * part * 0.99);
    const free = crew.lanes.map((_, k) => k).filter((k) => !caps.has(k));
    const capped = [...caps.values()].reduce((sum, share) => sum + share, 0);
    if (free.length === 0 || capped >= 1) return null;
    const freeShares = free.reduce((sum, k) => sum + crew.shares[k], 0);
    const shares = crew.shares.map((share, k) => caps.get(k) ?? ((1 - capped) * share) / freeShares);
    fitted = crews.withShares(crew.lanes, shares);
  }
  return null;
}
