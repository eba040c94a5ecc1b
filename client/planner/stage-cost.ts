import type { Crew } from './crew.ts';
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
  /** False where a lane would hold no parameters, or the owner no sums that it should add to. */
  isWhole: boolean;
  /** Importance of what may fail to come: share of the model that each lane has, times its unreliability. */
  risk: number;
}

/** Used again and again: short-lived arrays are most of what a search would leave behind. */
const fractions: (readonly number[])[] = [];
const importance: (readonly number[])[] = [];

export function stageCost(problem: Problem, load: StageLoad, crew: Crew): StageCost {
  const { classes, passesMs, operations, stateBytes, summandSlots, amongAll, withOwner } = load;
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
  for (const slot of summandSlots) if (fractions[slot][0] === 0) isWhole = false;
  for (let k = 0; k < crew.lanes.length; k++) {
    const { taskMs, reliability } = workers[crew.lanes[k]];
    const first = 3 * crew.lanes[k] * (whole + 2);
    let at = first + 3 * whole;
    let forward = segments * taskMs + passesMs[at];
    let backward = segments * taskMs + passesMs[at + 1];
    let weights = passesMs[at + 2];
    let weight = operations[whole] / crew.lanes.length;
    let ownBytes = 0;
    for (let slot = 0; slot < whole; slot++) {
      const share = fractions[slot][k];
      ownBytes += share * stateBytes[slot];
      at = first + 3 * slot;
      forward += share * passesMs[at];
      backward += share * passesMs[at + 1];
      weights += share * passesMs[at + 2];
      weight += operations[slot] * importance[slot][k];
    }
    if (k === 0) {
      ownBytes += stateBytes[whole + 1];
      at = first + 3 * (whole + 1);
      forward += passesMs[at];
      backward += passesMs[at + 1];
      weights += passesMs[at + 2];
      weight += operations[whole + 1];
    }
    if (ownBytes === 0 && crew.lanes.length > 1) isWhole = false;
    slowestForwardMs = Math.max(slowestForwardMs, forward);
    slowestGradientMs = Math.max(slowestGradientMs, backward - weights);
    busyMs = Math.max(busyMs, forward + backward);
    risk += weight * (1 - reliability);
  }
  let latencyMs = 0;
  let linkMs = 0;
  let trafficMs = 0;
  for (const load of [amongAll, withOwner]) {
    // A crew works its links out when asked for them, which most never are.
    if (load.count === 0) continue;
    const links = load === amongAll ? crew.amongAll : crew.withOwner;
    latencyMs += load.ways * links.latencyMs;
    linkMs += sendMs(load, wireShare, links.shareMsPerByte, links.wholeMsPerByte);
    trafficMs += sendMs(load, wireShare, links.shareTrafficMs, links.wholeTrafficMs);
  }
  // Written out: objects that are spread together each get a shape of their own, which makes their readers slow.
  return {
    forwardMs: slowestForwardMs,
    inputGradientMs: slowestGradientMs,
    busyMs,
    waitMs: latencyMs + linkMs,
    linkMs,
    trafficMs,
    isWhole,
    risk,
  };
}

/** Milliseconds for what lanes send, all ways, each its share or all of it, where a byte of either takes so long. */
const sendMs = (
  { shareBytes, wholeBytes }: ExchangeLoad,
  wireShare: number,
  shareMsPerByte: number,
  wholeMsPerByte: number,
): number => times(wireShare * shareBytes, shareMsPerByte) + times(wireShare * wholeBytes, wholeMsPerByte);

/** Nothing takes no time, however slow the link. */
const times = (bytes: number, msPerByte: number): number => (bytes > 0 ? bytes * msPerByte : 0);
