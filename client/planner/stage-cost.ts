import type { Crew, CrewLinks } from './crew.ts';
import type { ExchangeLoad, StageLoad } from './loads.ts';
import type { Problem } from './profile.ts';

/** What one micro-batch costs a stage. */
export interface StageCost {
  /** Of the slowest lane. */
  forwardMs: number;
  inputGradientMs: number;
  /** Forward, input gradient and weight gradient of the busiest lane. */
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

/** Used again and again: short-lived arrays are most of what a search would leave behind. */
const fractions: (readonly number[])[] = [];
const importance: (readonly number[])[] = [];

export function stageCost(problem: Problem, load: StageLoad, crew: Crew): StageCost {
  const { classes, forwardMs, backwardMs, weightsMs, operations, stateBytes, amongAll, withOwner } = load;
  const { workers, wireShare } = problem;
  const segments = 1 + amongAll.count + withOwner.count;
  const whole = classes.length;
  for (let slot = 0; slot < whole; slot++) {
    fractions[slot] = crew.fractionsOf(classes[slot]);
    importance[slot] = crew.importanceOf(classes[slot]);
  }
  let slowestForwardMs = 0;
  let slowestGradientMs = 0;
  let busyMs = 0;
  let risk = 0;
  let isWhole = true;
  for (let k = 0; k < crew.lanes.length; k++) {
    const { taskMs, reliability } = workers[crew.lanes[k]];
    const at = crew.lanes[k] * (whole + 2);
    let forward = segments * taskMs + forwardMs[at + whole];
    let backward = segments * taskMs + backwardMs[at + whole];
    let weights = weightsMs[at + whole];
    let weight = operations[whole] / crew.lanes.length;
    let ownBytes = 0;
    for (let slot = 0; slot < whole; slot++) {
      const share = fractions[slot][k];
      ownBytes += share * stateBytes[slot];
      forward += share * forwardMs[at + slot];
      backward += share * backwardMs[at + slot];
      weights += share * weightsMs[at + slot];
      weight += operations[slot] * importance[slot][k];
    }
    if (k === 0) {
      ownBytes += stateBytes[whole + 1];
      forward += forwardMs[at + whole + 1];
      backward += backwardMs[at + whole + 1];
      weights += weightsMs[at + whole + 1];
      weight += operations[whole + 1];
    }
    if (ownBytes === 0 && crew.lanes.length > 1) isWhole = false;
    slowestForwardMs = Math.max(slowestForwardMs, forward);
    slowestGradientMs = Math.max(slowestGradientMs, backward - weights);
    busyMs = Math.max(busyMs, forward + backward);
    risk += weight * (1 - reliability);
  }
  const all = amongAll.count > 0 ? crew.amongAll : null;
  const owner = withOwner.count > 0 ? crew.withOwner : null;
  const allMs = linkMsOf(amongAll, all, wireShare);
  const ownerMs = linkMsOf(withOwner, owner, wireShare);
  const latencyMs =
    amongAll.count * (all ? all.latencyMs : 0) + withOwner.count * (owner ? owner.latencyMs : 0);
  // Written out: objects that are spread together each get a shape of their own, which makes their readers slow.
  return {
    forwardMs: slowestForwardMs,
    inputGradientMs: slowestGradientMs,
    busyMs,
    waitMs: 2 * (latencyMs + allMs + ownerMs),
    linkMs: 2 * (allMs + ownerMs),
    trafficMs: 2 * (trafficMsOf(amongAll, all, wireShare) + trafficMsOf(withOwner, owner, wireShare)),
    isWhole,
    risk,
  };
}

/** On the slowest link, one way. */
function linkMsOf(
  { shareBytes, wholeBytes }: ExchangeLoad,
  links: CrewLinks | null,
  wireShare: number,
): number {
  if (!links) return 0;
  return (
    times(wireShare * shareBytes, links.shareMsPerByte) + times(wireShare * wholeBytes, links.wholeMsPerByte)
  );
}

/** On all links together, one way. */
function trafficMsOf(
  { shareBytes, wholeBytes }: ExchangeLoad,
  links: CrewLinks | null,
  wireShare: number,
): number {
  if (!links) return 0;
  return (
    times(wireShare * shareBytes, links.shareTrafficMs) + times(wireShare * wholeBytes, links.wholeTrafficMs)
  );
}

/** Nothing takes no time, however slow the link. */
const times = (bytes: number, msPerByte: number): number => (bytes > 0 ? bytes * msPerByte : 0);
