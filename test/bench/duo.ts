import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { percent } from '../../client/cli/progress.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Bench } from './main.ts';
import { Alone, ALONE_ARMS, meanMs } from './alone.ts';
import { pageDir, scriptOf } from './pages.ts';
import { canPin, pinnedEach, PROCESSORS } from './pinning.ts';
import { median, shown, summaryOf, type Bar, type Goal } from './result.ts';
import { pacesOf, shapeOf } from './rooms.ts';
import { SOLO_CASES } from './solo.ts';
import { WIRES, withWay } from './ways.ts';

interface Arm {
  partition: RunConfig['partition'];
  microBatches: number;
  wire: string;
}

const WANTED: Readonly<Record<string, number>> = { cnn: 1.7, mlp: 1.6 };
/** Processors that differ by more are spoken of. */
const UNEVEN = 0.05;
/** Stages need several micro-batches to work at once; lanes lose by each. */
const MICRO_BATCHES = { vertical: [4, 8], horizontal: [1, 2], auto: [1, 8] } as const;
const FIRST_STEPS = 2;
const TIMEOUT_MS = 600_000;

/** Steps of one device between two arms. */
const BETWEEN = 3;

/** What one device did beside the arms of a round, and what they did. */
interface Round {
  /** Before each arm and after the last: the best of one device, on each processor. */
  oneMs: number[][];
  /** By arm. */
  twoMs: number[];
  atOnce: number;
}

/** For each arm: steps of one device, as it was right before and after, in the time of a step of two. */
export const gainsOf = ({ oneMs, twoMs }: Pick<Round, 'oneMs' | 'twoMs'>): number[] =>
  twoMs.map((ms, i) => meanMs([...oneMs[i], ...oneMs[i + 1]]) / ms);

/**
 * Two browsers, each pinned to a processor of its own, train one model between them, against the best that one of them can do with
 * plain tfjs or EdgePipe alone: on either processor, which need not be equally fast, nor as fast as some minutes ago. So all of one
 * device's arms are compared first, and the best takes some steps between any two arms of two devices. The order of arms turns.
 */
export const duo: Bench = async ({ rounds, steps, models, wires, browser }, terminal) => {
  if (!canPin())
    throw new RigError('duo gives each browser a processor of its own: that takes Linux and two processors.');
  const script = await scriptOf('solo-page.ts');
  const formats = wires ?? WIRES.slice(0, 1);
  const arms = (['vertical', 'horizontal', 'auto'] as const).flatMap((partition) =>
    MICRO_BATCHES[partition].flatMap((microBatches) =>
      formats.map((wire): Arm => ({ partition, microBatches, wire })),
    ),
  );
  const rows: string[][] = [];
  const bars: Bar[] = [];
  const goals: Goal[] = [];
  const notes: string[] = [];
  for (const { name, model, batch } of SOLO_CASES) {
    if (models ? !models.includes(name) : !(name in WANTED)) continue;
    const turns = steps ?? 5;
    const shapes: string[] = [];
    const measure = async (alone: Alone, round: number): Promise<Round> => {
      const rig = await SwarmRig.open({
        peers: 2,
        isolate: true,
        browser,
        pageDir: await pageDir(),
        ...pinnedEach,
      });
      try {
        await rig.whenLinked();
        const atOnce = await alone.atOnce(BETWEEN);
        terminal.line(`${name}: two rooms of one at once: ${atOnce.toFixed(2)}`);
        const order = [...arms.entries()];
        const oneMs = [await alone.now(BETWEEN)];
        const twoMs: number[] = [];
        for (const [i, arm] of round % 2 === 0 ? order : order.toReversed()) {
          const { partition, microBatches, wire } = arm;
          const what = `${partition}, ${microBatches} micro-batches, ${wire}`;
          terminal.status(`duo: ${name}, round ${round + 1}: ${what}`);
          const { stepMs, shape } = await pace(rig, { ...arm, model, batch }, turns);
          twoMs.push(stepMs);
          shapes[i] = shape;
          oneMs.push(await alone.now(BETWEEN));
          const [beforeMs, afterMs] = oneMs.slice(-2).map((each) => each.map(wholeMs).join(' and '));
          terminal.line(
            `${name}: ${what}: ${wholeMs(stepMs)} ms a step; one device ${beforeMs} ms before, ${afterMs} after`,
          );
        }
        // As they were measured or the other way round: the same in the end.
        return round % 2 === 0
          ? { oneMs, twoMs, atOnce }
          : { oneMs: oneMs.toReversed(), twoMs: twoMs.toReversed(), atOnce };
      } finally {
        await rig.close();
      }
    };
    terminal.status(`duo: ${name}: one device`);
    const { one, seen } = await Alone.open({ script, browser }, { model, batch, turns }, async (alone) => {
      for (const [arm, each] of alone.stepMs)
        terminal.line(
          `${name}: ${arm}, one device, each processor: ${each.map(wholeMs).join(', ')} ms a step`,
        );
      const seen: Round[] = [];
      for (let round = 0; round < (rounds ?? 2); round++) seen.push(await measure(alone, round));
      return { one: alone.stepMs, seen };
    });
    const paces = arms.map((_, i) => seen.map(({ twoMs }) => twoMs[i]));
    const gains = arms.map((_, i) => summaryOf(seen.map((round) => gainsOf(round)[i])));
    const row = (what: string[], each: readonly number[], gain: string) => [
      name,
      ...what,
      shown(summaryOf(each), 0),
      ((1000 * batch) / median(each)).toFixed(0),
      gain,
    ];
    const before = rows.length;
    for (const [arm, each] of one)
      for (const [i, processor] of PROCESSORS.entries())
        rows.push(row([arm, `1 device, processor ${processor}`, '', ''], [each[i]], ''));
    const beside = PROCESSORS.map((_, i) => seen.flatMap(({ oneMs }) => oneMs.map((each) => each[i])));
    for (const [i, processor] of PROCESSORS.entries())
      rows.push(
        row(['the best of these, between arms', `1 device, processor ${processor}`, '', ''], beside[i], ''),
      );
    const atOnce = summaryOf(seen.map((each) => each.atOnce));
    rows.push([name, 'two rooms of one', '2 devices, nothing shared', '', '', '', '', shown(atOnce)]);
    bars.push({ label: `${name}: two rooms of one at once, nothing shared`, ...atOnce });
    arms.forEach(({ partition, microBatches, wire }, i) => {
      rows.push(row([partition, shapes[i], String(microBatches), wire], paces[i], shown(gains[i])));
      bars.push({ label: `${name}: ${partition}, m = ${microBatches}, ${wire} (${shapes[i]})`, ...gains[i] });
    });
    const drift = Math.max(...beside.map((each) => Math.max(...each) / Math.min(...each) - 1));
    if (drift > UNEVEN)
      notes.push(`${name}: a processor became up to ${percent(drift, 0)} slower between arms.`);
    const apart = Math.max(
      ...beside[0].map((ms, i) => Math.max(ms, beside[1][i]) / Math.min(ms, beside[1][i]) - 1),
    );
    if (apart > UNEVEN)
      notes.push(`${name}: one processor was up to ${percent(apart, 0)} faster than the other.`);
    terminal.lines(rows.slice(before).map((cells) => cells.join('  ')));
    const chosen = arms.flatMap(({ partition }, i) => (partition === 'auto' ? [gains[i].median] : []));
    if (name in WANTED) {
      const what = `${name}: two devices, planner’s choice at its best m, times the best of one`;
      goals.push({ what, value: Math.max(...chosen), bound: WANTED[name], kind: 'least', unit: '' });
    }
  }
  return {
    bench: 'duo',
    title: 'Two browsers on a processor each against the best of one: the limit is 2.',
    sections: [
      {
        title: 'Two devices',
        note: [
          `SGD. The last column: what the best of one device (${ALONE_ARMS}) takes for a step right before and after, as an average of both processors, over what this takes. Two rooms of one at once, on a processor each, have nothing to do with each other: what two devices can reach at all on this machine. Two devices are stages or lanes; a hybrid of both takes three.`,
          ...notes,
        ].join(' '),
        heads: ['model', 'what', 'plan', 'm', 'wire', 'ms a step', 'samples/s', 'times the best of one'],
        rows,
        bars,
        unit: 'samples a second, times the best of one device',
        mark: 1,
      },
    ],
    goals,
  };
};

const wholeMs = (ms: number): string => ms.toFixed(0);

/** Trains for some steps in a room that stays open. */
async function pace(
  rig: SwarmRig,
  { partition, microBatches, wire, model, batch }: Arm & { model: string; batch: number },
  steps: number,
): Promise<{ stepMs: number; shape: string }> {
  const choices = { model, batch, microBatches, partition, optimizer: 'sgd', steps: 100_000 } as const;
  await rig.start(withWay(runConfig({ ...choices, onDeparture: 'continue' }), { wire }));
  const { run } = await rig.follow(
    ({ run: { stepsDone, phase } }) => stepsDone > FIRST_STEPS + steps || phase === 'failed',
    { timeoutMs: TIMEOUT_MS },
  );
  if (!run.plan) throw new RigError(`The room failed: ${run.message}`);
  const [peer] = rig.peers;
  const ends = (await peer.steps()).slice(FIRST_STEPS).map(({ step, t_ms }) => [step, t_ms] as const);
  await peer.stop();
  await rig.waitFor('finished', { timeoutMs: TIMEOUT_MS });
  return { stepMs: median(pacesOf(ends)), shape: shapeOf(run.plan) };
}
