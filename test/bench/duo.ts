import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Bench } from './main.ts';
import { pageDir, scriptOf, withPages } from './pages.ts';
import { canPin, pinnedEach } from './pinning.ts';
import { median, shown, summaryOf, type Bar, type Goal } from './result.ts';
import { pacesOf, shapeOf } from './rooms.ts';
import { PLAIN, type SoloCase, type SoloPage, type SoloTimes } from './solo-page.ts';
import { SOLO_CASES } from './solo.ts';
import { WIRES, withWay } from './ways.ts';

interface Arm {
  partition: RunConfig['partition'];
  microBatches: number;
  wire: string;
}

const WANTED: Readonly<Record<string, number>> = { cnn: 1.7, mlp: 1.6 };
const ALONE = [1, 2, 4, 8];
/** Stages need several micro-batches to work at once; lanes lose by each. */
const MICRO_BATCHES = { vertical: [4, 8], horizontal: [1, 2], auto: [1, 8] } as const;
const FIRST_STEPS = 2;
const TIMEOUT_MS = 600_000;

/**
 * Two browsers, each pinned to a processor of its own, train one model between them, against the best that one of them can do with
 * plain tfjs or EdgePipe alone. One device alone and all ways to cut take turns within a round.
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
  for (const { name, model, batch } of SOLO_CASES) {
    if (models ? !models.includes(name) : !(name in WANTED)) continue;
    const turns = steps ?? 5;
    const best: number[] = [];
    const singles = new Map<string, number[]>();
    const paces = arms.map((): number[] => []);
    const shapes: string[] = [];
    for (let round = 0; round < (rounds ?? 2); round++) {
      terminal.status(`duo: ${name}, round ${round + 1}: one device`);
      const wish: SoloCase = { model, batch, optimizer: 'sgd', microBatches: ALONE, turns };
      const times = await withPages({ script, pages: 1, browser, processor: 0 }, ([page]) =>
        page.evaluate<SoloTimes, SoloCase>(
          (chosen) => (globalThis as unknown as SoloPage).solo(chosen),
          wish,
        ),
      );
      for (const [arm, each] of Object.entries(times))
        singles.set(arm, [...(singles.get(arm) ?? []), median(each)]);
      best.push(Math.min(...Object.values(times).map(median)));
      for (const [arm, each] of Object.entries(times))
        terminal.line(`${name}: ${arm}, one device: ${median(each).toFixed(0)} ms a step`);
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
          terminal.status(
            `duo: ${name}, round ${round + 1}: ${arm.partition}, ${arm.microBatches} micro-batches, ${arm.wire}`,
          );
          const { stepMs, shape } = await pace(rig, { ...arm, model, batch }, turns);
          paces[i].push(stepMs);
          terminal.line(
            `${name}: ${arm.partition}, m = ${arm.microBatches}, ${arm.wire}: ${stepMs.toFixed(0)} ms a step`,
          );
          shapes[i] = shape;
        }
      } finally {
        await rig.close();
      }
    }
    const gainOf = (each: readonly number[]) => summaryOf(each.map((ms, round) => best[round] / ms));
    const row = (what: string[], each: readonly number[]) => [
      name,
      ...what,
      shown(summaryOf(each), 0),
      ((1000 * batch) / median(each)).toFixed(0),
      shown(gainOf(each)),
    ];
    for (const [arm, each] of singles) rows.push(row([arm, '1 device', '', ''], each));
    arms.forEach(({ partition, microBatches, wire }, i) => {
      rows.push(row([partition, shapes[i], String(microBatches), wire], paces[i]));
      bars.push({
        label: `${name}: ${partition}, m = ${microBatches}, ${wire} (${shapes[i]})`,
        ...gainOf(paces[i]),
      });
    });
    terminal.lines(rows.slice(-arms.length - singles.size).map((cells) => cells.join('  ')));
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
        note: `SGD. The last column: the best of one device in that round (${PLAIN}, EdgePipe with ${ALONE.join(', ')} micro-batches) over this one’s time for a step. Two devices are stages or lanes; a hybrid of both takes three.`,
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
