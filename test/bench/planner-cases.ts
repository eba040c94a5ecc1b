import { makePlan } from '../../client/planner/plan.ts';
import { optionsFor } from '../../client/planner/choice.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { LIMITS } from '../../shared/limits.ts';
import { requestOf } from '../planner/requests.ts';
import { unevenRoom } from '../planner/rooms.ts';

/** What the planner is timed with, in Node and in a browser alike. Rooms and models are uneven. */
export interface PlannerCase {
  model: string;
  peers: number;
  rttMs: number;
}

const mlp = (layers: number): string =>
  `mlp:${Array.from({ length: layers - 1 }, (_, i) => [256, 128, 512, 64][i % 4]).join('-')}`;

export const PLANNER_CASES: readonly PlannerCase[] = [
  { model: mlp(12), peers: 16, rttMs: 5 },
  { model: mlp(12), peers: 16, rttMs: 40 },
  { model: mlp(12), peers: 7, rttMs: 5 },
  { model: mlp(4), peers: 4, rttMs: 5 },
  { model: 'cnn', peers: 16, rttMs: 5 },
  { model: 'resnet', peers: 16, rttMs: 5 },
  { model: mlp(48), peers: 16, rttMs: 5 },
  { model: mlp(12), peers: 64, rttMs: 5 },
  { model: mlp(12), peers: 256, rttMs: 5 },
];

export interface PlannerTimes {
  /** One room after the other. */
  ms: number[];
  /** Their lanes of stages, such as `3+2`. */
  shapes: string[];
}

/** Plans for so many rooms, from one on. */
export function plannerTimes({ model, peers, rttMs }: PlannerCase, rooms: number, first = 0): PlannerTimes {
  const ms: number[] = [];
  const shapes: string[] = [];
  for (let run = first; run < first + rooms; run++) {
    const room = unevenRoom({ model }, peers, 100 * run + 1, { rttMs });
    const start = performance.now();
    // Rooms have a bound, the offline command has none.
    const stages =
      peers <= LIMITS.room.peers
        ? makePlan(requestOf(room)).stages
        : optionsFor(problemOf(room.config, room.devices, room.links, []), room.config)[0].stages;
    ms.push(performance.now() - start);
    shapes.push(stages.map(({ lanes }) => lanes.length).join('+'));
  }
  return { ms, shapes };
}

export const PLANNER_HEADS = [
  'model',
  'devices',
  'round trip',
  'first ms',
  'least ms',
  'median ms',
  'longest ms',
  'lanes of stages',
];

/** The first plan, and the least, the middle and the longest of the others. */
export function timesShown(ms: readonly number[]): string[] {
  const later = ms.slice(1).sort((a, b) => a - b);
  const shown = [ms[0], later[0], later[Math.floor(later.length / 2)], later[later.length - 1]];
  return shown.map((one) => one.toFixed(1));
}

export function plannerRow({ model, peers, rttMs }: PlannerCase, { ms, shapes }: PlannerTimes): string[] {
  const name = model.length > 20 ? `mlp, ${model.split('-').length + 1} layers` : model;
  return [name, String(peers), `${rttMs} ms`, ...timesShown(ms), [...new Set(shapes)].slice(0, 3).join(', ')];
}
