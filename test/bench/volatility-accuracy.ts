import { runConfig } from '../../client/defaults.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom } from '../simulation/sim-room.ts';
import { mnist } from './mnist.ts';

/**
 * What does loss cost at equal steps? The default model on two stages of two lanes, nothing repaired, the same seeds with and without
 * loss. Real engine, real MNIST, all 10,000 test images, the CPU back-end, virtual time.
 *
 *   node --import tsx test/bench/volatility-accuracy.ts [seeds] [steps] [rule] [drop,drop,...] [copies]
 *
 * `copies`: `off` (where left out), or `on`: parts go several times over links that lose them.
 *
 * A quick look: 1 60.
 */
const SEEDS = Number(process.argv[2] ?? 10);
const STEPS = Number(process.argv[3] ?? 600);
const RULE = (process.argv[4] ?? 'deadline') as NonNullable<RunConfig['rule']>;
const DROPS = [0, ...(process.argv[5] ?? '0.1,0.3,0.5').split(',').map(Number)];
const COPIES = process.argv[6] === 'on';
const LIMIT_MS = 36_000_000;

const data = mnist();

async function train(seed: number, drop: number): Promise<Report> {
  const room = new SimRoom(4, { data });
  try {
    await room.settle();
    const grid = { stages: 2, lanes: 2 };
    await room.train(
      runConfig({
        grid,
        shares: 'even',
        wire: 'float32',
        steps: STEPS,
        seed,
        rule: RULE,
        copies: COPIES,
        faults: { drop },
      }),
      LIMIT_MS,
    );
    const { record } = room.on[0].swarm;
    if (!record.final) throw new Error(record.message);
    return makeReport(record);
  } finally {
    room.close();
  }
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean and standard error. */
function show(values: readonly number[]): string {
  const middle = mean(values);
  const variance =
    values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / Math.max(1, values.length - 1);
  return `${middle.toFixed(2)} +- ${Math.sqrt(variance / values.length).toFixed(2)}`;
}

const percent = ({ final }: Report) => 100 * final.test_accuracy;
const partOf = ({ micro_batches: micro }: Report, what: 'whole' | 'partial' | 'skipped') =>
  (100 * micro[what]) / (micro.whole + micro.partial + micro.skipped);
const used = ({ plan }: Report) =>
  plan.boundaries
    .map(({ kind, forward_used: there, backward_used: back }) => `${kind} ${share(there)}/${share(back)}`)
    .join(', ');
const share = (value: number | null) => value?.toFixed(3) ?? '-';

const found = new Map<number, Report[]>(DROPS.map((drop) => [drop, []]));
for (let seed = 1; seed <= SEEDS; seed++) {
  for (const drop of DROPS) found.get(drop)!.push(await train(seed, drop));
  console.log(
    `seed ${seed}: ${DROPS.map((drop) => percent(found.get(drop)!.at(-1)!).toFixed(2)).join('  ')}`,
  );
}
console.log(`\n${RULE}, copies ${COPIES ? 'on' : 'off'}, ${STEPS} steps, ${SEEDS} seeds, 2x2, mlp`);
console.log(
  'drop  test accuracy %  points lost  whole/partial/skipped %  seconds a run  used forward/backward',
);
for (const [drop, reports] of found) {
  const lost = reports.map((report, i) => percent(found.get(0)![i]) - percent(report));
  const verdicts = (['whole', 'partial', 'skipped'] as const).map((what) =>
    mean(reports.map((report) => partOf(report, what))).toFixed(1),
  );
  const seconds = mean(reports.map(({ steps }) => (steps.at(-1)?.t_ms ?? 0) / 1000));
  console.log(
    [
      drop,
      show(reports.map(percent)),
      show(lost),
      verdicts.join('/'),
      seconds.toFixed(1),
      used(reports[0]),
    ].join('  '),
  );
}
