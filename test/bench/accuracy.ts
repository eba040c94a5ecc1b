import { mlp } from '../../client/model/models.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimRoom } from '../simulation/sim-room.ts';
import { mnist } from './mnist.ts';
import { median, shown, summaryOf, type Goal, type Section } from './result.ts';
import { withWay, type Way } from './ways.ts';

const SEEDS = [1, 2, 3];
const STEPS = 300;
const STAGES = 3;
const LIMIT_MS = 36_000_000;

const configOf = (seed: number): RunConfig => ({
  task: 'mnist',
  model: mlp(784, 10, [128, 128]),
  partition: 'vertical',
  grid: { stages: STAGES, lanes: 1 },
  shares: 'even',
  wire: 'float32',
  steps: STEPS,
  batch: 128,
  microBatches: 8,
  optimizer: { kind: 'adam', learningRate: 3e-3, decay: 'linear' },
  seed,
  onDeparture: 'continue',
});

/** Percent of the test set that is right after the run. */
async function accuracyOf(config: RunConfig): Promise<{ percent: number; bytesPerStep: number }> {
  const room = new SimRoom(STAGES, { data: mnist() });
  try {
    await room.settle();
    await room.train(config, LIMIT_MS);
    const { final, peers, message } = room.on[0].swarm.record;
    if (!final) throw new Error(message);
    const bytes = peers.flatMap(({ traffic }) => traffic.map((t) => t.forwardBytes + t.backwardBytes));
    return {
      percent: (100 * final.metrics.correct) / final.metrics.samples,
      bytesPerStep: bytes.reduce((sum, one) => sum + one, 0) / STEPS,
    };
  } finally {
    room.close();
  }
}

export interface Accuracy {
  section: Section;
  /** Against the first way, for each other one. */
  goals(points: number): Goal[];
  /** Bytes of a step's parts over those of the first way, by way. */
  bytesRatio: ReadonlyMap<string, number>;
}

/** Trains the same model with one setting after the other, in turns over the seeds: the production engine on virtual time, real MNIST. */
export async function accuracyAtEqualSteps(
  field: keyof Way,
  ways: readonly string[],
  terminal: { status(text: string): void },
): Promise<Accuracy> {
  const percents = ways.map((): number[] => []);
  const bytes: number[] = [];
  for (const seed of SEEDS) {
    for (const [i, way] of ways.entries()) {
      terminal.status(`accuracy at equal steps: ${way}, seed ${seed}`);
      const { percent, bytesPerStep } = await accuracyOf(withWay(configOf(seed), { [field]: way }));
      percents[i].push(percent);
      bytes[i] = bytesPerStep;
    }
  }
  const lost = (i: number) => percents[0].map((percent, seed) => percent - percents[i][seed]);
  const rows = ways.map((way, i) => [
    way,
    shown(summaryOf(percents[i])),
    i === 0 ? '' : shown(summaryOf(lost(i))),
    (bytes[i] / 1000).toFixed(0),
    (bytes[i] / bytes[0]).toFixed(3),
  ]);
  return {
    section: {
      title: `Accuracy at equal steps, by ${field}`,
      note: `mlp 784-128-128-10 in ${STAGES} stages, ${STEPS} steps of 128 samples in 8 micro-batches, Adam, ${SEEDS.length} seeds, tested on all 10,000. The real engine and the real MNIST on virtual time. Points lost: against ${ways[0]} with the same seed.`,
      heads: [field, 'test accuracy %', `points lost to ${ways[0]}`, 'kB a step', `times ${ways[0]}`],
      rows,
      bars: ways.map((way, i) => ({ label: way, ...summaryOf(percents[i]) })),
      unit: '% of the test set right',
    },
    goals: (points) =>
      ways.slice(1).map((way, i) => ({
        what: `${way}: points of accuracy lost to ${ways[0]} at equal steps`,
        value: median(lost(i + 1)),
        bound: points,
        kind: 'most',
        unit: '',
      })),
    bytesRatio: new Map(ways.map((way, i) => [way, bytes[i] / bytes[0]])),
  };
}
