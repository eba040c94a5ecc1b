import {
  cellsOf,
  configOf,
  FULL,
  linkDelays,
  PEERS,
  TROUBLES,
  type Cell,
} from '../../client/cli/experiment/grid.ts';
import { table } from '../../client/cli/progress.ts';
import { EmulatedCompute } from '../../client/engine/emulated.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom, tinyConfig } from '../simulation/sim-room.ts';

/**
 * How fast is each cut under each rule and trouble? The cells of `npm run experiment -- volatility` on virtual time: the real engine, the
 * same emulated devices, links and faults, layers as wide, but few inputs, so that it takes little and no processor decides.
 *
 *   node --import tsx test/bench/volatility-simulated.ts [steps] [trouble,trouble,...] [partition rule,...]
 */
const STEPS = Number(process.argv[2] ?? 150);
const NAMES = process.argv[3]?.split(',') ?? TROUBLES.map(({ name }) => name);
const WAYS = process.argv[4]?.split(',') ?? FULL.ways;
const LIMIT_MS = 36_000_000;

function roomOf(): SimRoom {
  const room: SimRoom = new SimRoom(0, {
    wrap: (device) => {
      const clock = room.time.clockFor(
        () => true,
        () => 0,
      );
      return new EmulatedCompute(device, FULL.deviceMs, clock);
    },
    // What the simulated device itself takes must not count.
    speeds: Array<number>(PEERS).fill(1e6),
  });
  for (let i = 0; i < PEERS; i++) room.add();
  for (const { a, b, ms } of linkDelays())
    room.network.shape(room.peers[a - 1].id, room.peers[b - 1].id, { latencyMs: ms });
  return room;
}

/** The cell's run, on the tiny task. */
function tiny(cell: Cell): RunConfig {
  const config = configOf(cell, FULL, null);
  const { model, optimizer } = tinyConfig({ widths: [128, 64, 32], activation: 'relu' });
  return { ...config, model, optimizer, steps: STEPS };
}

async function cellRow(cell: Cell): Promise<string[]> {
  const room = roomOf();
  try {
    await room.settle();
    await room.train(tiny(cell), LIMIT_MS);
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
      (rate * share * FULL.batch).toFixed(0),
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
for (const cell of cellsOf({ ...FULL, seeds: 1, troubles: NAMES, ways: WAYS })) {
  rows.push(await cellRow(cell));
  console.log(rows.at(-1)!.join('  '));
}
console.log(['', ...table(HEADS, rows)].join('\n'));
