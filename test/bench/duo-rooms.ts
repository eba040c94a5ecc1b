import { SwarmRig } from '../../client/cli/rig.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import { runConfig } from '../../client/defaults.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { meanMs, type Alone } from './alone.ts';
import { pageDir } from './pages.ts';
import { pinnedEach } from './pinning.ts';
import { median } from './result.ts';
import { pacesOf, shapeOf } from './rooms.ts';
import { withWay } from './ways.ts';

/** One way for two processors to train one model. */
export interface Arm {
  /** Browsers: one on each processor, or as many more on each. */
  peers: number;
  partition: RunConfig['partition'];
  microBatches: number;
  wire: string;
}

/** Arms one after the other, and one device in between. */
export interface Series {
  /** Before each arm and after the last: the best of one device, on each processor. */
  oneMs: number[][];
  /** By arm. */
  twoMs: number[];
  /** By arm. */
  shapes: string[];
}

export interface SeriesOptions {
  alone: Alone;
  model: string;
  batch: number;
  browser: string | null;
  /** Steps of an arm that count. */
  turns: number;
  onBegin: (arm: Arm) => void;
  onEnd: (line: string) => void;
}

const FIRST_STEPS = 2;
const TIMEOUT_MS = 600_000;
/** Steps of one device between two arms. */
export const BETWEEN = 2;

/** For each arm: steps of one device, as it was right before and after, in the time of a step of two. */
export const gainsOf = ({ oneMs, twoMs }: Pick<Series, 'oneMs' | 'twoMs'>): number[] =>
  twoMs.map((ms, i) => meanMs([...oneMs[i], ...oneMs[i + 1]]) / ms);

/** `vertical, 8 micro-batches, int8`. */
export const textOf = ({ partition, microBatches, wire }: Arm): string =>
  `${partition}, ${microBatches} micro-batch${microBatches === 1 ? '' : 'es'}, ${wire}`;

/** Arms in this order; a room is open for as long as the next arm wants as many browsers. */
export async function seriesOf(order: readonly Arm[], options: SeriesOptions): Promise<Series> {
  const { alone, browser, onBegin, onEnd } = options;
  const oneMs = [await alone.now(BETWEEN)];
  const twoMs: number[] = [];
  const shapes: string[] = [];
  let rig: SwarmRig | null = null;
  let peers = 0;
  try {
    for (const arm of order) {
      if (!rig || peers !== arm.peers) {
        await rig?.close();
        ({ peers } = arm);
        rig = await SwarmRig.open({
          peers,
          isolate: true,
          browser,
          pageDir: await pageDir(),
          ...pinnedEach,
        });
        await rig.whenLinked();
      }
      onBegin(arm);
      const { stepMs, shape } = await pace(rig, arm, options);
      twoMs.push(stepMs);
      shapes.push(shape);
      oneMs.push(await alone.now(BETWEEN));
      const [before, after] = oneMs.slice(-2).map((each) => each.map((ms) => ms.toFixed(0)).join(' and '));
      onEnd(`${textOf(arm)}: ${stepMs.toFixed(0)} ms a step; one device ${before} ms before, ${after} after`);
    }
  } finally {
    await rig?.close();
  }
  return { oneMs, twoMs, shapes };
}

/** Trains for some steps in a room that stays open. */
async function pace(
  rig: SwarmRig,
  { partition, microBatches, wire }: Arm,
  { model, batch, turns }: SeriesOptions,
): Promise<{ stepMs: number; shape: string }> {
  const choices = { model, batch, microBatches, partition, optimizer: 'sgd', steps: 100_000 } as const;
  await rig.start(withWay(runConfig({ ...choices, onDeparture: 'continue' }), { wire }));
  const { run } = await rig.follow(
    ({ run: { stepsDone, phase } }) => stepsDone > FIRST_STEPS + turns || phase === 'failed',
    { timeoutMs: TIMEOUT_MS },
  );
  if (!run.plan) throw new RigError(`The room failed: ${run.message}`);
  const [peer] = rig.peers;
  const ends = (await peer.steps()).slice(FIRST_STEPS).map(({ step, t_ms }) => [step, t_ms] as const);
  await peer.stop();
  await rig.waitFor('finished', { timeoutMs: TIMEOUT_MS });
  return { stepMs: median(pacesOf(ends)), shape: shapeOf(run.plan) };
}
