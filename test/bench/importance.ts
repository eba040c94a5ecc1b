import { mlp } from '../../client/model/models.ts';
import type { LayerState } from '../../client/ports/compute.ts';
import { hashText, randomUniform } from '../../shared/counter-random.ts';
import { decodeFrame } from '../../shared/frames.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom } from '../simulation/sim-room.ts';
import { mnist } from './mnist.ts';

/**
 * Does it help to put important units where links are good? Four lanes train without loss, the room plans anew with units ordered by
 * measured importance, at random, or in reverse, and then half of the parts that the last lane sends (a quarter of the units) are lost.
 * The same seeds and the same losses for all three. Real engine, real MNIST, the CPU back-end, virtual time.
 *
 *   node --import tsx test/bench/importance.ts [seeds] [steps] [kind]
 *
 * `kind`: `seed`, a model from its seed; `tuned`, a trained one that is fine-tuned; left out, one after the other.
 */
const SEEDS = Number(process.argv[2] ?? 10);
const STEPS = Number(process.argv[3] ?? 200);
const KIND = process.argv.at(4);
const LOSS = 0.5;
const ORDERINGS = ['importance', 'random', 'reverse'] as const;
type Ordering = (typeof ORDERINGS)[number];

const data = mnist();

function configOf(seed: number, ordering: Ordering, steps: number): RunConfig {
  return {
    task: 'mnist',
    model: mlp(784, 10, [64, 48, 32]),
    partition: 'horizontal',
    grid: { stages: 1, lanes: 4 },
    shares: 'even',
    wire: 'float32',
    ordering,
    rule: 'deadline',
    copies: false,
    steps,
    batch: 64,
    microBatches: 2,
    optimizer: { kind: 'adam', learningRate: 2e-3, decay: 'constant' },
    seed,
    onDeparture: 'continue',
  };
}

/** Mean training accuracy over the steps with loss, in percent. `weights`: where a trained model is fine-tuned. */
async function measure(seed: number, ordering: Ordering, weights: readonly LayerState[]): Promise<number> {
  let lossy: string | null = null;
  const room = new SimRoom(4, { data });
  room.network.isLost = (from, to, bytes) => {
    if (from !== lossy) return false;
    const frame = decodeFrame(bytes);
    if (frame.kind !== 'forward' && frame.kind !== 'backward') return false;
    const { kind, boundary, step, micro } = frame;
    return randomUniform(seed, hashText(`${kind}/${boundary}/${to}`), step, micro) < LOSS;
  };
  const before = weights.length > 0 ? 0 : STEPS;
  await room.settle();
  const [first] = room.on;
  const { record } = first.swarm;
  // Stopped well before its end, so that the plan made anew is not disturbed by one.
  void first.swarm.start(configOf(seed, ordering, before + STEPS + 200), weights);
  if (weights.length === 0) {
    await room.run(() => (record.lastStep?.step ?? -1) >= before, 3_600_000);
    first.swarm.replan();
  }
  await room.run(() => (record.plan?.version ?? 0) >= 2 && record.phase === 'training', 3_600_000);
  lossy = record.plan!.stages[0].lanes.at(-1)!;
  const from = record.plan!.startStep + 2;
  await room.run(() => (record.lastStep?.step ?? -1) >= from + STEPS, 3_600_000);
  const seen = record.steps.filter(({ step }) => step >= from && step < from + STEPS);
  room.close();
  return (100 * seen.reduce((sum, { accuracy }) => sum + accuracy, 0)) / seen.length;
}

/** A model trained on one device, to be fine-tuned. */
async function trained(seed: number): Promise<readonly LayerState[]> {
  const room = new SimRoom(1, { data });
  await room.settle();
  await room.start({ ...configOf(seed, 'importance', STEPS), grid: null, partition: 'vertical' });
  await room.run(() => room.on[0].swarm.record.phase === 'finished', 3_600_000);
  let layers: LayerState[] | null = null;
  void room.on[0].swarm.collectModel().then((model) => (layers = model.layers));
  await room.run(() => layers !== null);
  room.close();
  return layers!;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
/** Half of a 95% confidence interval; 2.26 is Student's t for 9 degrees of freedom. */
function interval(values: readonly number[]): number {
  const middle = mean(values);
  const variance =
    values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / Math.max(1, values.length - 1);
  return 2.26 * Math.sqrt(variance / values.length);
}
const show = (values: readonly number[]) => `${mean(values).toFixed(2)} +- ${interval(values).toFixed(2)}`;

for (const fineTuned of [false, true].filter((tuned) => !KIND || tuned === (KIND === 'tuned'))) {
  const results = new Map<Ordering, number[]>(ORDERINGS.map((ordering) => [ordering, []]));
  for (let seed = 1; seed <= SEEDS; seed++) {
    const weights = fineTuned ? await trained(seed + 1000) : [];
    for (const ordering of ORDERINGS) results.get(ordering)!.push(await measure(seed, ordering, weights));
    const row = ORDERINGS.map((ordering) => results.get(ordering)!.at(-1)!.toFixed(2));
    console.log(`${fineTuned ? 'fine-tuned' : 'from seed'} ${seed}: ${row.join('  ')}`);
  }
  const [important, random, reverse] = ORDERINGS.map((ordering) => results.get(ordering)!);
  const difference = (a: readonly number[], b: readonly number[]) => a.map((value, i) => value - b[i]);
  console.log(fineTuned ? '\nA trained model, fine-tuned' : '\nA model from its seed');
  for (const ordering of ORDERINGS) console.log(`  ${ordering.padEnd(10)} ${show(results.get(ordering)!)} %`);
  console.log(`  importance - random  ${show(difference(important, random))} points`);
  console.log(`  random - reverse     ${show(difference(random, reverse))} points\n`);
}
