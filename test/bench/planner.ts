import { makePlan } from '../../client/planner/plan.ts';
import { optionsFor } from '../../client/planner/choice.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { table } from '../../client/cli/progress.ts';
import { LIMITS } from '../../shared/limits.ts';
import { requestOf } from '../planner/requests.ts';
import { unevenRoom } from '../planner/rooms.ts';

/**
 * How long the planner takes, by layers and devices: the first plan of a process, and the middle of some more. Rooms and models are uneven.
 *
 *   node --import tsx test/bench/planner.ts
 */
const RUNS = 9;

const mlp = (layers: number): string =>
  `mlp:${Array.from({ length: layers - 1 }, (_, i) => [256, 128, 512, 64][i % 4]).join('-')}`;

const CASES = [
  { model: mlp(12), peers: 16 },
  { model: mlp(12), peers: 16, rttMs: 40 },
  { model: mlp(12), peers: 7 },
  { model: mlp(4), peers: 4 },
  { model: 'cnn', peers: 16 },
  { model: 'resnet', peers: 16 },
  { model: mlp(48), peers: 16 },
  { model: mlp(12), peers: 64 },
  { model: mlp(12), peers: 256 },
];

const rows = CASES.map(({ model, peers, rttMs = 5 }) => {
  const times: number[] = [];
  const shapes = new Set<string>();
  for (let run = 0; run < RUNS; run++) {
    const room = unevenRoom({ model }, peers, 100 * run + 1, { rttMs });
    const start = performance.now();
    // Rooms have a bound, the offline command has none.
    const stages =
      peers <= LIMITS.room.peers
        ? makePlan(requestOf(room)).stages
        : optionsFor(problemOf(room.config, room.devices, room.links, []), room.config)[0].stages;
    times.push(performance.now() - start);
    shapes.add(stages.map(({ lanes }) => lanes.length).join('+'));
  }
  const later = times.slice(1).sort((a, b) => a - b);
  const name = model.length > 20 ? `mlp, ${model.split('-').length + 1} layers` : model;
  const shown = [times[0], later[Math.floor(later.length / 2)], later[later.length - 1]].map((ms) =>
    ms.toFixed(1),
  );
  return [name, String(peers), `${rttMs} ms`, ...shown, [...shapes].slice(0, 3).join(', ')];
});
console.log(
  table(
    ['model', 'devices', 'round trip', 'first ms', 'median ms', 'longest ms', 'lanes of stages'],
    rows,
  ).join('\n'),
);
