import { table } from '../../client/cli/progress.ts';
import type { RunChoices } from '../../client/defaults.ts';
import { median } from './result.ts';
import { paceOf, shapeOf, type Pace } from './rooms.ts';

/**
 * What one device ten times slower than three others costs a room: slices by measured speed against even ones, and against the same room
 * without that device. Real browsers, emulated devices, one after the other in turns. Micro-batches of 8 and a browser for each device,
 * so that the processors under them do not decide.
 *
 *   node --import tsx test/bench/slow-device.ts [rounds] [steps]
 */
const ROUNDS = Number(process.argv[2] ?? 3);
const STEPS = Number(process.argv[3] ?? 10);
const FAST = [200, 200, 200];
const BATCH = 32;

const ARMS: { name: string; deviceMs: number[]; choices: RunChoices }[] = [
  { name: 'slices by measured speed', deviceMs: [...FAST, 2000], choices: {} },
  {
    name: 'even slices, 2x2',
    deviceMs: [...FAST, 2000],
    choices: { shares: 'even', grid: { stages: 2, lanes: 2 } },
  },
  {
    name: 'even slices, 1x4',
    deviceMs: [...FAST, 2000],
    choices: { shares: 'even', grid: { stages: 1, lanes: 4 } },
  },
  { name: 'without the slow device', deviceMs: FAST, choices: {} },
];

const paces: Pace[][] = ARMS.map(() => []);
for (let round = 0; round < ROUNDS; round++) {
  for (const [i, { name, deviceMs, choices }] of ARMS.entries()) {
    const rig = { peers: deviceMs.length, deviceMs, isolate: true };
    const pace = await paceOf({ rig, choices: { model: 'cnn', batch: BATCH, ...choices }, steps: STEPS });
    paces[i].push(pace);
    console.log(`${name}: ${pace.samplesPerSecond.toFixed(1)} samples/s, ${shapeOf(pace.plan)}`);
  }
}
const rates = paces.map((list) => median(list.map(({ samplesPerSecond }) => samplesPerSecond)));
const rows = ARMS.map(({ name }, i) => {
  const each = paces[i].map(({ samplesPerSecond }) => samplesPerSecond);
  const spread = `${Math.min(...each).toFixed(1)} to ${Math.max(...each).toFixed(1)}`;
  return [name, shapeOf(paces[i][0].plan), rates[i].toFixed(1), spread, (rates[0] / rates[i]).toFixed(2)];
});
console.log(table(['room', 'plan', 'samples/s', 'spread', 'measured speed against it'], rows).join('\n'));
process.exit(0);
