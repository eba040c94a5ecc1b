import {
  cellsOf,
  configOf,
  FULL,
  TROUBLES,
  type Cell,
  type Settings,
} from '../../client/cli/experiment/grid.ts';
import { table } from '../../client/cli/progress.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import { readChoice, readFlags, readWhole } from '../../shared/flags.ts';
import { mnist } from './mnist.ts';
import { emulatedRoom } from './simulated-room.ts';

/**
 * How fast is each cut under each rule and trouble? The cells of `npm run experiment -- volatility` on virtual time: the real engine, the
 * same model and data, emulated devices, links and faults, and no processor that decides.
 *
 *   node --import tsx test/bench/volatility-simulated.ts [--steps 60] [--troubles none,loss-30] [--ways hybrid-deadline,vertical-repair]
 *                                                        [--model mlp:128-64-32] [--batch 128] [--device-ms 20]
 */
const EXAMPLES = {
  steps: { example: '--steps 60' },
  troubles: { example: '--troubles none,loss-30' },
  ways: { example: '--ways hybrid-deadline,vertical-repair' },
  model: { example: '--model mlp:128-64-32' },
  batch: { example: '--batch 128' },
  'device-ms': { example: '--device-ms 20' },
};
const LIMIT_MS = 36_000_000;

const given = readFlags(process.argv.slice(2), EXAMPLES);
const text = (flag: keyof typeof EXAMPLES, otherwise: string) => String(given.get(flag) ?? otherwise);
const whole = (flag: 'steps' | 'batch' | 'device-ms', otherwise: number) =>
  readWhole(flag, text(flag, String(otherwise)), { min: 1, max: 1_000_000 }, EXAMPLES[flag].example);
const list = (flag: 'troubles' | 'ways', all: readonly string[]) =>
  text(flag, all.join())
    .split(',')
    .map((item) => readChoice(flag, item, all));
const STEPS = whole('steps', 60);
const SETTINGS: Settings = {
  ...FULL,
  seeds: 1,
  model: text('model', FULL.model),
  batch: whole('batch', FULL.batch),
  deviceMs: whole('device-ms', FULL.deviceMs),
  troubles: list(
    'troubles',
    TROUBLES.map(({ name }) => name),
  ),
  ways: list(
    'ways',
    FULL.ways.map((way) => way.replace(' ', '-')),
  ).map((way) => way.replace('-', ' ')),
};
const data = mnist();

async function cellRow(cell: Cell): Promise<string[]> {
  const room = emulatedRoom(data, SETTINGS.deviceMs);
  try {
    await room.settle();
    await room.train({ ...configOf(cell, SETTINGS, null), steps: STEPS }, LIMIT_MS);
    const { record } = room.on[0].swarm;
    if (!record.final) throw new Error(record.message);
    const { steps, plan, wire } = makeReport(record);
    const seconds = (steps.at(-1)!.t_ms - steps[0].t_ms) / 1000;
    const counted = record.peers
      .map(({ ledger: { whole, partial, skipped } }) => [whole + partial, whole + partial + skipped])
      .filter(([, all]) => all > 0)
      .map(([some, all]) => some / all);
    const share = Math.min(...counted);
    const rate = (steps.length - 1) / seconds;
    const used = plan.boundaries.map(
      ({ forward_used: there, backward_used: back }) =>
        `${there?.toFixed(2) ?? '-'}/${back?.toFixed(2) ?? '-'}`,
    );
    return [
      cell.trouble.name,
      `${cell.partition} ${cell.rule}`,
      plan.stages.map(({ lanes }) => lanes.length).join('+'),
      rate.toFixed(2),
      `${(100 * share).toFixed(1)}%`,
      (rate * share * SETTINGS.batch).toFixed(0),
      `${(wire.bytes_sent / steps.length / 1000).toFixed(0)} kB`,
      used.join(' '),
    ];
  } finally {
    room.close();
  }
}

const HEADS = [
  'trouble',
  'way',
  'lanes',
  'steps/s',
  'counted at least',
  'useful samples/s',
  'sent a step',
  'used forward/backward',
];
const rows: string[][] = [];
for (const cell of cellsOf(SETTINGS)) {
  rows.push(await cellRow(cell));
  console.log(rows.at(-1)!.join('  '));
}
console.log(['', ...table(HEADS, rows)].join('\n'));
