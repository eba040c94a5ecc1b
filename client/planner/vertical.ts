import type { PeerId } from '../../shared/ids.ts';
import { bestPartition } from './partition.ts';

/** A peer as the planner sees it: measured ms per layer (forward and backward of one micro-batch). */
export interface Device {
  peer: PeerId;
  layerMs: number[];
}

export interface Placement {
  /** Peers in the order of their stages. */
  order: PeerId[];
  starts: number[];
  stageMs: number[];
  bottleneckMs: number;
  /** Sum over boundaries of the time to move one micro-batch's numbers there and back. */
  trafficMs: number;
}

/** Time in ms to move `bytes` from one peer to another. */
export type TransferTime = (from: PeerId, to: PeerId, bytes: number) => number;

/** Orders tried one by one, times layers: tens of milliseconds. Beyond that, a search by swaps from several starts. */
const ENUMERATED_WORK = 100_000;
/** Starts of the search, times peers, stages and layers. */
const SEARCH_WORK = 200_000;

/**
 * Whole layers over peers in a row (as many stages as peers, at most one per layer): the order and the cuts with the
 * fastest slowest stage, then the least traffic, then the lowest ids. Pure and deterministic.
 * @param boundaryBytes bytes per micro-batch that leave each layer, forward
 */
export function planVertical(
  devices: readonly Device[],
  boundaryBytes: readonly number[],
  transferTime: TransferTime,
): Placement {
  const sorted = [...devices].sort(
    (a, b) => total(a.layerMs) - total(b.layerMs) || (a.peer < b.peer ? -1 : 1),
  );
  // Where some peers have no link there may be no row of all of them: then a shorter one.
  for (let stages = Math.min(devices.length, boundaryBytes.length); ; stages--) {
    const evaluate = (order: readonly Device[]) => place(order.slice(0, stages), boundaryBytes, transferTime);
    const orders = countOrders(sorted.length, stages);
    const search = orders * boundaryBytes.length <= ENUMERATED_WORK ? enumerate : searchBySwaps;
    const found = search(sorted, stages, evaluate);
    if (stages === 1 || found.trafficMs < Infinity) return found;
  }
}

function place(
  order: readonly Device[],
  boundaryBytes: readonly number[],
  transferTime: TransferTime,
): Placement {
  const { starts, bottleneck } = bestPartition(order.map((device) => device.layerMs));
  const ends = [...starts.slice(1), boundaryBytes.length];
  const trafficMs = starts
    .slice(1)
    .reduce(
      (sum, start, s) => sum + 2 * transferTime(order[s].peer, order[s + 1].peer, boundaryBytes[start - 1]),
      0,
    );
  return {
    order: order.map((device) => device.peer),
    starts,
    stageMs: order.map((device, s) => total(device.layerMs.slice(starts[s], ends[s]))),
    bottleneckMs: bottleneck,
    trafficMs,
  };
}

/** Bottlenecks within a thousandth count as equal, so that rounding never outweighs traffic. */
function better(a: Placement, b: Placement): boolean {
  if (Number.isFinite(a.trafficMs) !== Number.isFinite(b.trafficMs)) return Number.isFinite(a.trafficMs);
  const gap = a.bottleneckMs - b.bottleneckMs;
  if (Math.abs(gap) > 1e-3 * Math.max(a.bottleneckMs, b.bottleneckMs)) return gap < 0;
  return a.trafficMs < b.trafficMs - 1e-9;
}

function enumerate(devices: Device[], stages: number, evaluate: (order: Device[]) => Placement): Placement {
  let best: Placement | null = null;
  const extend = (order: Device[], rest: Device[]) => {
    if (order.length === stages) {
      const placement = evaluate(order);
      if (best === null || better(placement, best)) best = placement;
      return;
    }
    rest.forEach((device, i) => extend([...order, device], rest.toSpliced(i, 1)));
  };
  extend([], devices);
  return best!;
}

function searchBySwaps(
  devices: Device[],
  stages: number,
  evaluate: (order: Device[]) => Placement,
): Placement {
  const layers = devices[0].layerMs.length;
  // A very deep model leaves time for fewer starts: the page must not stand still.
  const starts = Math.max(1, Math.floor(SEARCH_WORK / (devices.length * stages * layers)));
  let best: Placement | null = null;
  for (let start = 0; start < Math.min(devices.length, starts); start++) {
    const order = [...devices.slice(start), ...devices.slice(0, start)];
    const found = climb(order, stages, evaluate);
    if (best === null || better(found, best)) best = found;
  }
  return best!;
}

/** Swaps two peers as long as that helps; positions from `stages` on are the peers that stand by. */
function climb(order: Device[], stages: number, evaluate: (order: Device[]) => Placement): Placement {
  let best = evaluate(order);
  for (let improved = true; improved;) {
    improved = false;
    for (let i = 0; i < stages; i++) {
      for (let j = i + 1; j < order.length; j++) {
        [order[i], order[j]] = [order[j], order[i]];
        const swapped = evaluate(order);
        if (better(swapped, best)) {
          best = swapped;
          improved = true;
        } else {
          [order[i], order[j]] = [order[j], order[i]];
        }
      }
    }
  }
  return best;
}

function countOrders(peers: number, stages: number): number {
  let count = 1;
  for (let i = 0; i < stages; i++) count *= peers - i;
  return count;
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
