import type { RunConfig, LossRule } from '../../../shared/schema/config.ts';
import type { Faults } from '../../../shared/schema/faults.ts';
import type { WireFormat } from '../../../shared/wire.ts';
import { runConfig } from '../../defaults.ts';

/** What is compared: ways to cut the model, what becomes of lost parts, what the links do. Pure. */

export const PEERS = 4;
/** One way: 25 +- 10 ms. Control messages take the least of it. */
const DELAY_MS = 15;
const JITTER_MS = 20;
/** Messages lost in a row, in the mean. */
const BURST = 5;

export type Partition = RunConfig['partition'];
export const PARTITIONS: readonly Partition[] = ['hybrid', 'vertical', 'horizontal', 'auto'];
export const RULES: readonly LossRule[] = ['deadline', 'stall', 'discard', 'repair'];

const GRIDS: Readonly<Record<Partition, RunConfig['grid']>> = {
  hybrid: { stages: 2, lanes: 2 },
  vertical: { stages: PEERS, lanes: 1 },
  horizontal: { stages: 1, lanes: PEERS },
  auto: null,
};

/** What happens to the parts of a run. */
export interface Trouble {
  name: string;
  /** For people. */
  title: string;
  faults: Faults;
}

const lost = (percent: number): Trouble => ({
  name: `loss-${percent}`,
  title: `${percent}% lost`,
  faults: { drop: percent / 100 },
});
const inBursts = (percent: number): Trouble => ({
  name: `burst-${percent}`,
  title: `${percent}% lost in bursts`,
  faults: { drop: percent / 100, burst: BURST },
});
const down = (percent: number): Trouble => ({
  name: `outage-${percent}`,
  title: `links down ${percent}%`,
  faults: { outage: { share: percent / 100, seconds: 2 } },
});

export const TROUBLES: readonly Trouble[] = [
  { name: 'none', title: 'no loss', faults: {} },
  ...[10, 30, 50].map(lost),
  ...[10, 30, 50].map(inBursts),
  ...[10, 25].map(down),
  {
    name: 'stall',
    title: 'one stalls 5 s in 15',
    faults: { stalls: [{ peer: 'peer 3', seconds: 5, everySeconds: 15 }] },
  },
];

/** All that decides what a run gives: another configuration is another experiment. */
export interface Settings {
  model: string;
  batch: number;
  microBatches: number;
  learningRate: number;
  /** Of parts, for all ways alike: what crosses a link takes of the one machine's processors, too. */
  wire: WireFormat;
  /** Milliseconds for the whole model's forward of one micro-batch, on every device. */
  deviceMs: number;
  /** Test accuracy that runs are timed to. */
  target: number;
  /** A run that has not reached the target by then ends. */
  seconds: number;
  /** All runs last that long: their accuracies are compared there. */
  compareSeconds: number;
  /** Between two looks at the weights. */
  everySeconds: number;
  seeds: number;
  troubles: readonly string[];
  /** `partition rule`, such as `hybrid deadline`. */
  ways: readonly string[];
  /** Longest waits between requests for a part that are tried; the best is used. One: nothing to try. */
  resendMs: readonly number[];
  /** Real browsers, or the simulation: the same engine where no processor decides. */
  runsIn: 'browsers' | 'simulation';
  /** Rooms that train at the same time. */
  rooms: number;
}

/** `auto` chooses a shape, no rule: it is run with ours. */
const ALL_WAYS = PARTITIONS.flatMap((partition) =>
  (partition === 'auto' ? (['deadline'] as const) : RULES).map((rule) => `${partition} ${rule}`),
);

export const FULL: Settings = {
  model: 'mlp:128-128-128-128',
  batch: 128,
  microBatches: 4,
  learningRate: 2e-3,
  wire: 'int8',
  deviceMs: 20,
  target: 0.965,
  seconds: 240,
  compareSeconds: 60,
  everySeconds: 5,
  seeds: 1,
  troubles: TROUBLES.map(({ name }) => name),
  ways: ALL_WAYS,
  resendMs: [125, 250, 500, 1000],
  runsIn: 'browsers',
  rooms: 2,
};

/** A look at the main figures in some minutes: fewer cells, a target that is reached sooner. */
export const QUICK: Settings = {
  ...FULL,
  target: 0.9,
  seconds: 28,
  compareSeconds: 24,
  everySeconds: 2,
  troubles: ['none', 'loss-30', 'outage-25', 'stall'],
  ways: [
    'hybrid deadline',
    'hybrid repair',
    'vertical discard',
    'vertical repair',
    'vertical stall',
    'horizontal repair',
  ],
  resendMs: [500],
};

export interface Cell {
  /** Names its result's file. */
  id: string;
  partition: Partition;
  rule: LossRule;
  trouble: Trouble;
  seed: number;
}

/** Without loss no part is asked for again or dropped: the rules differ only in whether they wait. */
const isTold = (trouble: string, rule: LossRule): boolean =>
  trouble !== 'none' || rule === 'deadline' || rule === 'stall';

/** All cells, seed by seed: what is there when it is interrupted is a whole table of fewer seeds. */
export function cellsOf({ seeds, troubles, ways }: Settings): Cell[] {
  const columns = TROUBLES.filter(({ name }) => troubles.includes(name));
  return Array.from({ length: seeds }, (_, i) => i + 1).flatMap((seed) =>
    columns.flatMap((trouble) =>
      ways
        .map((way) => way.split(' ') as [Partition, LossRule])
        .filter(([, rule]) => isTold(trouble.name, rule))
        .map(([partition, rule]) => ({
          id: `${trouble.name}-${partition}-${rule}-${seed}`,
          partition,
          rule,
          trouble,
          seed,
        })),
    ),
  );
}

/** More than any run does in its time. */
const STEPS = 100_000;

/** The run of a cell. @param resendMs longest wait between two requests for a part; null: the engine's own */
export function configOf(
  { partition, rule, trouble, seed }: Pick<Cell, 'partition' | 'rule' | 'trouble' | 'seed'>,
  { model, batch, microBatches, learningRate, wire }: Settings,
  resendMs: number | null,
): RunConfig {
  return {
    ...runConfig({
      model,
      batch,
      microBatches,
      learningRate,
      seed,
      rule,
      partition,
      grid: GRIDS[partition],
      faults: { jitterMs: JITTER_MS, ...trouble.faults },
      shares: 'even',
      wire,
      steps: STEPS,
      decay: 'constant',
      onDeparture: 'continue',
    }),
    ...(resendMs !== null && { resendMs }),
  };
}

/** Every link of the room is as slow. */
export const linkDelays = (): { a: number; b: number; ms: number }[] =>
  Array.from({ length: PEERS }, (_, i) => i + 1).flatMap((a) =>
    Array.from({ length: PEERS - a }, (_, i) => ({ a, b: a + i + 1, ms: DELAY_MS })),
  );
