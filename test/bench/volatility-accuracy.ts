import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { table } from '../../client/cli/progress.ts';
import { runConfig } from '../../client/defaults.ts';
import type { LayerState } from '../../client/ports/compute.ts';
import { makeReport } from '../../client/swarm/record/report.ts';
import type { Swarm } from '../../client/swarm/swarm.ts';
import { readChoice, readFlags, readNumber, readWhole } from '../../shared/flags.ts';
import { LossRuleSchema, type LossRule, type RunConfig } from '../../shared/schema/config.ts';
import type { Report } from '../../shared/schema/report.ts';
import { SimRoom } from '../simulation/sim-room.ts';
import { mnist } from './mnist.ts';

/**
 * What does loss cost at equal steps? The default model on two stages of two lanes, nothing repaired, the same seeds with and without
 * loss? Each trained model is tested twice: with everything there, and under the loss that it was trained with (frames of tests go once,
 * whatever `--copies`). Real engine, real MNIST, all 10,000 test images, the CPU back-end, virtual time.
 *
 *   node --import tsx test/bench/volatility-accuracy.ts [--seeds 1-10] [--steps 600] [--rule deadline] [--drops 0.1,0.3,0.5]
 *                                                       [--copies on] [--store FILE]
 *
 * `--copies on`: parts go several times over links that lose them. `--store FILE`: runs that stand in it are not run again, and each new
 * one is added when it is over; several processes may share one, each with seeds of its own. A quick look: --seeds 1 --steps 60.
 */
const EXAMPLES = {
  seeds: { example: '--seeds 1-10' },
  steps: { example: '--steps 600' },
  rule: { example: '--rule deadline' },
  drops: { example: '--drops 0.1,0.3,0.5' },
  copies: { example: '--copies on' },
  store: { example: '--store runs.jsonl' },
};
const LIMIT_MS = 36_000_000;
/** Times the simulation's ordinary device: a billion operations per second, so that a step is a matter of links, as in a room of phones. */
const SPEED = 50;
const COUNT = { min: 1, max: 1_000_000 };

/** One run, as a line of a store. */
interface Run {
  seed: number;
  drop: number;
  steps: number;
  rule: LossRule;
  copies: boolean;
  /** Of the test images that are right, with everything there. */
  percent: number;
  /** The same where the test loses what training did. */
  percentUnderLoss: number;
  /** Share of micro-batches, summed over blocks. */
  verdicts: Record<'whole' | 'partial' | 'skipped', number>;
  /** Per boundary: of the frames that others sent, the shares that were there in time, forward and backward. */
  used: string;
  /** On virtual time. */
  seconds: number;
}
type Wish = Pick<Run, 'seed' | 'drop' | 'steps' | 'rule' | 'copies'>;

const keyOf = ({ seed, drop, steps, rule, copies }: Wish): string => [seed, drop, steps, rule, copies].join();

function readSeeds(text: string): number[] {
  const [first, last = first] = text
    .split('-')
    .map((seed) => readWhole('seeds', seed, COUNT, '--seeds 1-10'));
  return Array.from({ length: Math.max(1, last - first + 1) }, (_, i) => first + i);
}

/** Far below what a weight's last digit is worth: one step of it leaves a model as it is. */
const NEXT_TO_NOTHING = 1e-15;

async function train({
  seed,
  drop,
  steps,
  rule,
  copies,
}: Wish): Promise<{ report: Report; underLoss: number }> {
  const room = new SimRoom(4, { data, speeds: Array<number>(4).fill(SPEED) });
  try {
    await room.settle();
    const grid = { stages: 2, lanes: 2 };
    const choices = { grid, steps, seed, rule, copies, shares: 'even', wire: 'float32' } as const;
    const report = await trained(room, runConfig({ ...choices, faults: { drop } }));
    if (drop === 0) return { report, underLoss: report.final.test_accuracy };
    const { layers } = await collected(room);
    const again = { ...choices, steps: 1, learningRate: NEXT_TO_NOTHING };
    const { final } = await trained(room, runConfig({ ...again, faults: { drop, tests: true } }), layers);
    return { report, underLoss: final.test_accuracy };
  } finally {
    room.close();
  }
}

/** The report of one run, from these weights or from the seed. */
async function trained(room: SimRoom, config: RunConfig, weights: LayerState[] = []): Promise<Report> {
  await room.train(config, LIMIT_MS, weights);
  const { record } = room.on[0].swarm;
  if (!record.final) throw new Error(record.message);
  return makeReport(record);
}

/** The room's model, on the room's own time. */
async function collected(room: SimRoom): ReturnType<Swarm['collectModel']> {
  const model = room.on[0].swarm.collectModel();
  let isHere = false;
  const done = () => (isHere = true);
  void model.then(done, done);
  await room.run(() => isHere);
  return model;
}

function runOf(wish: Wish, { report, underLoss }: Awaited<ReturnType<typeof train>>): Run {
  const { final, micro_batches: micro, plan, steps } = report;
  const all = micro.whole + micro.partial + micro.skipped;
  const shown = (share: number | null) => share?.toFixed(3) ?? '-';
  return {
    ...wish,
    percent: 100 * final.test_accuracy,
    percentUnderLoss: 100 * underLoss,
    verdicts: { whole: micro.whole / all, partial: micro.partial / all, skipped: micro.skipped / all },
    used: plan.boundaries
      .map(({ kind, forward_used: there, backward_used: back }) => `${kind} ${shown(there)}/${shown(back)}`)
      .join(', '),
    seconds: (steps.at(-1)?.t_ms ?? 0) / 1000,
  };
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** Mean and standard error. */
function show(values: readonly number[]): string {
  const middle = mean(values);
  const variance =
    values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / Math.max(1, values.length - 1);
  return `${middle.toFixed(2)} +- ${Math.sqrt(variance / values.length).toFixed(2)}`;
}

function rowOf(drop: number, runs: readonly Run[], lossFree: readonly Run[]): string[] {
  const verdicts = (['whole', 'partial', 'skipped'] as const).map((what) =>
    (100 * mean(runs.map((run) => run.verdicts[what]))).toFixed(1),
  );
  return [
    String(drop),
    show(runs.map(({ percent }) => percent)),
    show(runs.map(({ percent }, i) => lossFree[i].percent - percent)),
    show(runs.map(({ percentUnderLoss }) => percentUnderLoss)),
    verdicts.join('/'),
    mean(runs.map(({ seconds }) => seconds)).toFixed(1),
    runs[0].used,
  ];
}

const given = readFlags(process.argv.slice(2), EXAMPLES);
const text = (flag: keyof typeof EXAMPLES, otherwise: string) => String(given.get(flag) ?? otherwise);
const seeds = readSeeds(text('seeds', '1-10'));
const steps = readWhole('steps', text('steps', '600'), COUNT, EXAMPLES.steps.example);
const rule = readChoice('rule', text('rule', 'deadline'), LossRuleSchema.options);
const copies = readChoice('copies', text('copies', 'off'), ['on', 'off']) === 'on';
const losses = text('drops', '0.1,0.3,0.5')
  .split(',')
  .map((drop) => readNumber('drops', drop, { min: 0, max: 1 }, EXAMPLES.drops.example));
const drops = [0, ...losses.filter((drop) => drop > 0)];
const store = given.has('store') ? text('store', '') : null;

const stored = store !== null && existsSync(store) ? readFileSync(store, 'utf8').trim() : '';
const known = new Map(
  stored
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Run)
    .map((run) => [keyOf(run), run]),
);
const data = mnist();
const found = new Map<number, Run[]>(drops.map((drop) => [drop, []]));

/** From the store, or made now. */
async function runFor(wish: Wish): Promise<Run> {
  const before = known.get(keyOf(wish));
  if (before) return before;
  const run = runOf(wish, await train(wish));
  if (store !== null) appendFileSync(store, `${JSON.stringify(run)}\n`);
  return run;
}

for (const seed of seeds) {
  for (const drop of drops) {
    found.get(drop)!.push(await runFor({ seed, drop, steps, rule, copies }));
  }
  const last = drops.map((drop) => found.get(drop)!.at(-1)!);
  const listed = (what: 'percent' | 'percentUnderLoss') => last.map((run) => run[what].toFixed(2)).join('  ');
  console.log(`seed ${seed}: ${listed('percent')}, tested under loss: ${listed('percentUnderLoss')}`);
}
console.log(`\n${rule}, copies ${copies ? 'on' : 'off'}, ${steps} steps, ${seeds.length} seeds, 2x2, mlp`);
const heads = [
  ...['drop', 'test accuracy %', 'points lost', 'tested under loss %'],
  ...['whole/partial/skipped %', 'seconds a run', 'used'],
];
const rows = [...found].map(([drop, runs]) => rowOf(drop, runs, found.get(0)!));
console.log(table(heads, rows).join('\n'));
