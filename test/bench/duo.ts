import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Bench } from './main.ts';
import { ALONE_ARMS, measureAlone, type Alone } from './alone.ts';
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

/**
 * Two browsers, each pinned to a processor of its own, train one model between them, against the best that one of them can do with
 * plain tfjs or EdgePipe alone: on either processor, which need not be equally fast. In one round that comes first, in the next last.
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
    const ones: Alone[] = [];
    const paces = arms.map((): number[] => []);
    const shapes: string[] = [];
    const one = async (round: number) => {
      terminal.status(`duo: ${name}, round ${round + 1}: one device`);
      const seen = await measureAlone({ script, browser }, { model, batch, turns });
      for (const [arm, each] of seen.stepMs)
        terminal.line(
          `${name}: ${arm}, one device, each processor: ${each.map(wholeMs).join(', ')} ms a step`,
        );
      terminal.line(`${name}: two rooms of one at once: ${seen.atOnce.toFixed(2)}`);
      ones.push(seen);
    };
    const two = async (round: number) => {
      const rig = await SwarmRig.open({
        peers: 2,
        isolate: true,
        browser,
        pageDir: await pageDir(),
        ...pinnedEach,
      });
      try {
        await rig.whenLinked();
        for (const [i, arm] of arms.entries()) {
          const { partition, microBatches, wire } = arm;
          const what = `${partition}, ${microBatches} micro-batches, ${wire}`;
          terminal.status(`duo: ${name}, round ${round + 1}: ${what}`);
          const { stepMs, shape } = await pace(rig, { ...arm, model, batch }, turns);
          paces[i].push(stepMs);
          shapes[i] = shape;
          terminal.line(`${name}: ${what}: ${wholeMs(stepMs)} ms a step`);
        }
      } finally {
        await rig.close();
      }
    };
    for (let round = 0; round < (rounds ?? 2); round++)
      for (const measure of round % 2 === 0 ? [one, two] : [two, one]) await measure(round);
    const gainOf = (each: readonly number[]) => summaryOf(each.map((ms, round) => ones[round].meanMs / ms));
    const row = (what: string[], each: readonly number[]) => [
      name,
      ...what,
      shown(summaryOf(each), 0),
      ((1000 * batch) / median(each)).toFixed(0),
      shown(gainOf(each)),
    ];
    const before = rows.length;
    for (const arm of ones[0].stepMs.keys())
      for (const [i, processor] of PROCESSORS.entries()) {
        const each = ones.map(({ stepMs }) => stepMs.get(arm)![i]);
        rows.push(row([arm, `1 device, processor ${processor}`, '', ''], each));
      }
    const atOnce = summaryOf(ones.map((each) => each.atOnce));
    rows.push([name, 'two rooms of one', '2 devices, nothing shared', '', '', '', '', shown(atOnce)]);
    bars.push({ label: `${name}: two rooms of one at once, nothing shared`, ...atOnce });
    arms.forEach(({ partition, microBatches, wire }, i) => {
      rows.push(row([partition, shapes[i], String(microBatches), wire], paces[i]));
      bars.push({
        label: `${name}: ${partition}, m = ${microBatches}, ${wire} (${shapes[i]})`,
        ...gainOf(paces[i]),
      });
    });
    for (const [round, { bestMs }] of ones.entries()) {
      const difference = Math.max(...bestMs) / Math.min(...bestMs) - 1;
      if (difference > UNEVEN)
        notes.push(
          `${name}, round ${round + 1}: one processor is ${(100 * difference).toFixed(0)}% faster than the other.`,
        );
    }
    terminal.lines(rows.slice(before).map((cells) => cells.join('  ')));
    const chosen = arms.flatMap(({ partition }, i) =>
      partition === 'auto' ? [gainOf(paces[i]).median] : [],
    );
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
          `SGD. The last column: what the best of one device (${ALONE_ARMS}) takes for a step, as an average of both processors, measured by itself in the same round, over what this takes. Two rooms of one at once, on a processor each, have nothing to do with each other: what two devices can reach at all on this machine. Two devices are stages or lanes; a hybrid of both takes three.`,
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
