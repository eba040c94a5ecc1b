import type { RunConfig } from '../../../shared/schema/config.ts';
import type { PeerReport } from '../../../shared/schema/control.ts';
import type { Report } from '../../../shared/schema/report.ts';
import type { LayerState } from '../../ports/compute.ts';
import { shareUsed } from '../../swarm/record/report.ts';
import { percent } from '../progress.ts';
import { RigError } from '../rig-error.ts';
import { denseAccuracy, firstOf, type TestImages } from './dense-accuracy.ts';
import type { Cell, Settings } from './grid.ts';
import { accuracyAt, isOver, secondsTo, type Outcome, type Point } from './outcome.ts';
import { ProcessorWatch } from './processors.ts';
import type { TrainingRoom } from './training-room.ts';

/** From the question to the first step: devices are timed, blocks loaded. */
const READY_MS = 120_000;
/** The room's test of the model at the end. */
const TEST_MS = 120_000;

/** Sums in another order turn a few images of 10,000. */
const TEST_MISFIT = 0.001;

/** What a run has come to when its time was over. */
interface Trained {
  curve: Point[];
  stepsPerSecond: number;
  busyProcessors: number;
  traffic: PeerReport['traffic'];
  report: Report;
}

/** Of the test images, those that every look is judged by while others train. */
const LOOK_IMAGES = 2000;
/** So near the target all images are tested at once: the run may be over. */
const NEAR = 0.01;

/** Tells how long a run has trained. */
export type OnProgress = (seconds: number, last: Point | null) => void;

/** Trains one cell in a room that is linked up, and leaves the room ready for the next. */
export async function runCell(
  room: TrainingRoom,
  cell: Cell,
  config: RunConfig,
  settings: Settings,
  images: TestImages,
  onProgress: OnProgress,
): Promise<Outcome> {
  const isEnough = (seconds: number, curve: readonly Point[]) => isOver(settings, seconds, curve);
  const { curve, stepsPerSecond, busyProcessors, traffic, report } = await train(room, config, {
    everySeconds: settings.everySeconds,
    test: (states, count) => denseAccuracy(config.model, states, firstOf(images, count)),
    images: images.labels.length,
    target: settings.target,
    isEnough,
    onProgress,
    timeoutMs: settings.seconds * 1000,
  });
  const { plan, micro_batches: ledger, final } = report;
  const outside = await denseAccuracy(config.model, await room.weights(), images);
  if (Math.abs(outside - final.test_accuracy) > TEST_MISFIT)
    throw new RigError(
      `The room's own test says ${percent(final.test_accuracy)}, the test from outside ${percent(outside)}: one of them is wrong.`,
    );
  const resentBytes = traffic.reduce((sum, boundary) => sum + boundary.resentBytes, 0);
  return {
    id: cell.id,
    partition: cell.partition,
    rule: cell.rule,
    trouble: cell.trouble.name,
    seed: cell.seed,
    shape: plan.stages.map(({ lanes }) => lanes.length).join('+'),
    curve,
    secondsToTarget: secondsTo(settings, curve),
    accuracy: accuracyAt(settings.compareSeconds, curve),
    stepsPerSecond,
    ledger,
    used: plan.boundaries.map(({ kind }, index) => {
      const here = traffic.filter(({ boundary }) => boundary === index);
      return { kind, forward: shareUsed(here, 'forward'), backward: shareUsed(here, 'backward') };
    }),
    resentBytes,
    busyProcessors,
    finalAccuracy: final.test_accuracy,
  };
}

/** Steps per second of a run of so many seconds, its model not looked at. */
export async function paceOf(room: TrainingRoom, config: RunConfig, seconds: number): Promise<number> {
  const { stepsPerSecond } = await train(room, config, {
    everySeconds: Infinity,
    test: () => Promise.resolve(0),
    images: 0,
    target: 1,
    isEnough: (elapsed) => elapsed >= seconds,
    onProgress: () => undefined,
    timeoutMs: seconds * 1000,
  });
  return stepsPerSecond;
}

interface TrainOptions {
  everySeconds: number;
  /** The share of the first so many test images that a model gets right. */
  test: (states: LayerState[], images: number) => Promise<number>;
  /** All test images. */
  images: number;
  target: number;
  isEnough: (seconds: number, curve: readonly Point[]) => boolean;
  onProgress: OnProgress;
  timeoutMs: number;
}

/**
 * Trains until it is enough. The model is looked at from outside: weights are read between two tasks of a device, and tested here. So
 * that tests take little of the processors that train, looks far from the target get some images now and all of them afterwards (when
 * another room may be training, where there are several).
 */
async function train(room: TrainingRoom, config: RunConfig, options: TrainOptions): Promise<Trained> {
  const { everySeconds, test, images, target, isEnough, onProgress, timeoutMs } = options;
  const processors = new ProcessorWatch();
  const curve: Point[] = [];
  /** Looks that not all images were tested of. */
  const left: { point: Point; states: LayerState[] }[] = [];
  /** Tests come one after the other, in the order in which weights were read. */
  let testing: Promise<void> = Promise.resolve();
  let failure: unknown = null;
  let beganMs: number | null = null;
  let last = { step: 0, t_ms: 0 };
  let points = 0;
  await room.start(config);
  const { run } = await room.follow(
    ({ run: { phase, last: newest } }) => {
      if (phase !== 'training') return phase === 'failed' || phase === 'finished';
      if (beganMs === null) processors.begin();
      beganMs ??= room.nowMs();
      last = newest ?? last;
      return failure !== null || isEnough((room.nowMs() - beganMs) / 1000, curve);
    },
    {
      timeoutMs: READY_MS + timeoutMs,
      onSnapshot: async ({ run: { phase } }) => {
        if (phase !== 'training' || beganMs === null) return;
        const seconds = (room.nowMs() - beganMs) / 1000;
        onProgress(seconds, curve.at(-1) ?? null);
        if (seconds < everySeconds * (points + 1)) return;
        points++;
        const states = await room.weights();
        // Asked after the weights: they are no newer than that.
        const { last: newest } = (await room.snapshot()).run;
        const { step, t_ms } = newest ?? { step: -1, t_ms: 1000 * seconds };
        testing = testing
          .then(async () => {
            const point = { seconds: t_ms / 1000, step: step + 1, accuracy: await test(states, LOOK_IMAGES) };
            if (point.accuracy < target - NEAR) left.push({ point, states });
            else point.accuracy = await test(states, images);
            curve.push(point);
          })
          .catch((error: unknown) => void (failure ??= error));
      },
    },
  );
  if (run.phase !== 'training') throw new RigError(`The run ended too soon: ${run.message}`);
  const busyProcessors = processors.busy();
  const traffic = await room.traffic();
  await room.stop();
  await room.waitFor('finished', { timeoutMs: TEST_MS });
  await testing;
  if (failure) throw failure as Error;
  for (const { point, states } of left) point.accuracy = await test(states, images);
  const report = await room.report();
  const stepsPerSecond = (1000 * (last.step + 1)) / Math.max(1, last.t_ms);
  return { curve, stepsPerSecond, busyProcessors, traffic, report };
}
