import { table } from '../../client/cli/progress.ts';
import type { PeerBrowser } from '../../client/cli/peer-browser.ts';
import { randomUniform } from '../../shared/counter-random.ts';
import { canPin, limit, pinnedEach } from './pinning.ts';
import { paceOf, shapeOf, type PaceOptions } from './rooms.ts';

/**
 * How near the planner's prediction comes to what a room of real browsers then takes for a step: ten rooms of two to six emulated
 * devices (slow enough that the processors under them do not decide) with speeds from 1:1 to 1:10 and delays on their links, drawn from a seed; and, on Linux with two processors or more, two
 * rooms of browsers that are pinned to unequal shares of them (needs root). A ratio of 1 is a step as long as predicted.
 *
 *   node --import tsx test/bench/prediction.ts [emulated|pinned] [first room] [last room]
 */
const [kind = 'all', first = '1', last = '10'] = process.argv.slice(2);
const SEED = 5;
const STEPS = 8;
/** Milliseconds of the fastest and the slowest device for the whole model's forward of one micro-batch. */
const FASTEST_MS = 1000;
const SPREAD = 10;
const MODELS = ['mlp:512-512-512', 'cnn', 'mlp:256-256-256-256-256'];

/** What ends limits on processors, once the browsers under them are closed. */
const limits: (() => void)[] = [];

interface Room extends PaceOptions {
  name: string;
  model: string;
}

function emulatedRoom(number: number): Room {
  const chance = (i: number) => randomUniform(SEED, number, i);
  const peers = 2 + Math.floor(5 * chance(0));
  const spread = SPREAD ** chance(1);
  const deviceMs = Array.from({ length: peers }, (_, i) => Math.round(FASTEST_MS * spread ** chance(10 + i)));
  const delayMs = Math.round(25 * chance(2));
  const model = MODELS[number % MODELS.length];
  const delays = Array.from({ length: peers }, (_, a) =>
    Array.from({ length: a }, (__, b) => ({ a: b + 1, b: a + 1, ms: delayMs })),
  ).flat();
  return {
    name: `${deviceMs.join(', ')} ms, ${delayMs} ms away`,
    rig: { peers, deviceMs, delays },
    model,
    choices: { model },
    steps: STEPS,
  };
}

/** Each browser on a processor of its own, of which the second gets just a share; so from before its links are measured. */
function pinnedRoom(model: string, share: number): Room {
  const onBrowser = ({ pid }: PeerBrowser, peer: number) => {
    pinnedEach.onBrowser({ pid }, peer);
    if (peer === 2) limits.push(limit(pid, share));
  };
  return {
    name: `${model}, a processor and ${share} of one`,
    rig: { peers: 2, isolate: true, ...pinnedEach, onBrowser },
    model,
    choices: { model, batch: 512 },
    steps: 4 * STEPS,
  };
}

async function measure(rooms: readonly Room[], tolerance: number): Promise<void> {
  const rows: string[][] = [];
  let near = 0;
  for (const room of rooms) {
    const { plan, stepMs } = await paceOf(room).finally(() => limits.splice(0).forEach((lift) => lift()));
    const predictedMs = plan.predicted.stepMs;
    const ratio = stepMs / predictedMs;
    if (Math.abs(ratio - 1) <= tolerance) near++;
    const shown = [predictedMs, stepMs].map((ms) => ms.toFixed(0));
    rows.push([room.name, room.model, shapeOf(plan), ...shown, ratio.toFixed(2)]);
    console.log(rows.at(-1)!.join('  '));
  }
  console.log(table(['room', 'model', 'plan', 'predicted ms', 'measured ms', 'ratio'], rows).join('\n'));
  console.log(`${near} of ${rooms.length} within ${100 * tolerance}%\n`);
}

if (kind !== 'pinned') {
  const numbers = Array.from({ length: Number(last) - Number(first) + 1 }, (_, i) => Number(first) + i);
  await measure(numbers.map(emulatedRoom), 0.2);
}
if (kind !== 'emulated' && canPin())
  await measure([pinnedRoom('mlp:512-512-256', 0.5), pinnedRoom('cnn', 0.35)], 0.25);
process.exit(0);
