import { percent } from '../../client/cli/progress.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import { Alone, ALONE_ARMS } from './alone.ts';
import { BETWEEN, gainsOf, seriesOf, textOf, type Arm, type Series } from './duo-rooms.ts';
import type { Bench } from './main.ts';
import { scriptOf } from './pages.ts';
import { canPin, PROCESSORS } from './pinning.ts';
import { median, shown, summaryOf, type Bar, type Goal } from './result.ts';
import { SOLO_CASES } from './solo.ts';
import { WIRES } from './ways.ts';

const WANTED: Readonly<Record<string, number>> = { cnn: 1.7, mlp: 1.6 };
/** Processors that differ by more are spoken of. */
const UNEVEN = 0.05;
/** Stages need several micro-batches to work at once, lanes a second one while the first is exchanged. */
const SHAPES = [
  { partition: 'vertical', peers: 2, microBatches: [4, 8] },
  { partition: 'horizontal', peers: 2, microBatches: [2] },
  { partition: 'auto', peers: 2, microBatches: [1, 2, 4, 8] },
  { partition: 'hybrid', peers: 4, microBatches: [4] },
] as const;
/** What counts is measured so often, after it was found to be the best. */
const BEST_TURNS = 8;
const STEPS = 4;

/** What was seen of one model. */
interface Seen {
  one: ReadonlyMap<string, number[]>;
  atOnce: number[];
  /** All arms, as often as there are rounds: in their order, whichever they were measured in. */
  rounds: Series[];
  /** The planner's choice with the micro-batches that suit it best, again and again. */
  best: Arm;
  again: Series;
}

/**
 * Two browsers, each pinned to a processor of its own, train one model between them, against the best that one of them can do with
 * plain tfjs or EdgePipe alone: on either processor, which need not be equally fast, nor as fast as some minutes ago. So all of one
 * device's arms are compared first, and the best takes some steps between any two arms of two devices. The order of arms turns. The best
 * of many arms looks better than it is where figures are noisy: it is measured anew, in turns with one device, and only that counts.
 */
export const duo: Bench = async ({ rounds, steps, models, wires, browser }, terminal) => {
  if (!canPin())
    throw new RigError('duo gives each browser a processor of its own: that takes Linux and two processors.');
  const script = await scriptOf('solo-page.ts');
  const formats = wires ?? WIRES.slice(0, 1);
  const arms = SHAPES.flatMap(({ microBatches: each, ...shape }) =>
    each.flatMap((microBatches) => formats.map((wire): Arm => ({ ...shape, microBatches, wire }))),
  );
  const rows: string[][] = [];
  const bars: Bar[] = [];
  const goals: Goal[] = [];
  const notes: string[] = [];
  for (const { name, model, batch } of SOLO_CASES) {
    if (models ? !models.includes(name) : !(name in WANTED)) continue;
    const turns = steps ?? STEPS;
    terminal.status(`duo: ${name}: one device`);
    const seen = await Alone.open({ script, browser }, { model, batch, turns }, async (alone) => {
      for (const [arm, each] of alone.stepMs)
        terminal.line(
          `${name}: ${arm}, one device, each processor: ${each.map((ms) => ms.toFixed(0)).join(', ')} ms a step`,
        );
      const take = (order: readonly Arm[], what: string) =>
        seriesOf(order, {
          ...{ alone, model, batch, browser, turns },
          onBegin: (arm) => terminal.status(`duo: ${name}, ${what}: ${textOf(arm)}`),
          onEnd: (line) => terminal.line(`${name}: ${line}`),
        });
      const seen: Omit<Seen, 'best' | 'again'> = { one: alone.stepMs, atOnce: [], rounds: [] };
      for (let round = 0; round < (rounds ?? 1); round++) {
        seen.atOnce.push(await alone.atOnce(BETWEEN));
        terminal.line(`${name}: two rooms of one at once: ${seen.atOnce.at(-1)!.toFixed(2)}`);
        const isTurned = round % 2 === 1;
        const series = await take(isTurned ? arms.toReversed() : arms, `round ${round + 1}`);
        seen.rounds.push(isTurned ? turned(series) : series);
      }
      const best = bestOf(arms, seen.rounds);
      const again = await take(Array<Arm>(BEST_TURNS).fill(best), 'the best again');
      return { ...seen, best, again };
    });
    const before = rows.length;
    rows.push(...rowsOf(name, batch, arms, seen));
    terminal.lines(rows.slice(before).map((cells) => cells.join('  ')));
    bars.push(...barsOf(name, arms, seen));
    notes.push(...notesOf(name, seen));
    if (name in WANTED) {
      const what = `${name}: two devices, planner’s choice at its best m, times the best of one`;
      goals.push({ what, value: median(gainsOf(seen.again)), bound: WANTED[name], kind: 'least', unit: '' });
    }
  }
  return {
    bench: 'duo',
    title: 'Two browsers on a processor each against the best of one: the limit is 2.',
    sections: [
      {
        title: 'Two devices',
        note: [
          `SGD. The last column: what the best of one device (${ALONE_ARMS}) takes for a step right before and after, as an average of both processors, over what this takes. Two rooms of one at once, on a processor each, have nothing to do with each other: what two devices can reach at all on this machine. Two devices are stages or lanes; a hybrid of both takes more: four browsers, two on each processor. The best of the planner’s is measured ${BEST_TURNS} times more, and these count.`,
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

/** The same, as if measured the other way round. */
const turned = ({ oneMs, twoMs, shapes }: Series): Series => ({
  oneMs: oneMs.toReversed(),
  twoMs: twoMs.toReversed(),
  shapes: shapes.toReversed(),
});

const gainsOver = (rounds: readonly Series[], arm: number): number[] =>
  rounds.map((series) => gainsOf(series)[arm]);

/** Of what the planner chose: with as many micro-batches as did best. */
const bestOf = (arms: readonly Arm[], rounds: readonly Series[]): Arm => {
  const gain = (arm: Arm) => median(gainsOver(rounds, arms.indexOf(arm)));
  return arms
    .filter(({ partition }) => partition === 'auto')
    .reduce((best, arm) => (gain(arm) > gain(best) ? arm : best));
};

const planOf = ({ peers }: Arm, shape: string): string =>
  peers > PROCESSORS.length ? `${shape}, ${peers} browsers` : shape;

/** Of one device between arms, by processor. */
const besideOf = ({ rounds, again }: Seen): number[][] =>
  PROCESSORS.map((_, i) => [...rounds, again].flatMap(({ oneMs }) => oneMs.map((each) => each[i])));

function rowsOf(name: string, batch: number, arms: readonly Arm[], seen: Seen): string[][] {
  const { one, atOnce, rounds, best, again } = seen;
  const row = (what: string[], each: readonly number[], gain: string) => [
    name,
    ...what,
    shown(summaryOf(each), 0),
    ((1000 * batch) / median(each)).toFixed(0),
    gain,
  ];
  const armRow = (arm: Arm, what: string, shape: string, each: readonly number[], gains: readonly number[]) =>
    row([what, planOf(arm, shape), String(arm.microBatches), arm.wire], each, shown(summaryOf(gains)));
  const alone = (what: string, processor: number) => [what, `1 device, processor ${processor}`, '', ''];
  const beside = besideOf(seen);
  return [
    ...[...one].flatMap(([arm, each]) => PROCESSORS.map((id, i) => row(alone(arm, id), [each[i]], ''))),
    ...PROCESSORS.map((id, i) => row(alone('the best of these, between arms', id), beside[i], '')),
    [name, 'two rooms of one', '2 devices, nothing shared', '', '', '', '', shown(summaryOf(atOnce))],
    ...arms.map((arm, i) => {
      const each = rounds.map(({ twoMs }) => twoMs[i]);
      return armRow(arm, arm.partition, rounds[0].shapes[i], each, gainsOver(rounds, i));
    }),
    armRow(best, 'the best of auto, again', again.shapes[0], again.twoMs, gainsOf(again)),
  ];
}

function barsOf(name: string, arms: readonly Arm[], { atOnce, rounds, best, again }: Seen): Bar[] {
  const bar = (what: string, arm: Arm, shape: string, gains: readonly number[]): Bar => ({
    label: `${name}: ${what}, m = ${arm.microBatches}, ${arm.wire} (${planOf(arm, shape)})`,
    ...summaryOf(gains),
  });
  return [
    { label: `${name}: two rooms of one at once, nothing shared`, ...summaryOf(atOnce) },
    ...arms.map((arm, i) => bar(arm.partition, arm, rounds[0].shapes[i], gainsOver(rounds, i))),
    bar('the best of auto, again', best, again.shapes[0], gainsOf(again)),
  ];
}

function notesOf(name: string, seen: Seen): string[] {
  const beside = besideOf(seen);
  const notes: string[] = [];
  const drift = Math.max(...beside.map((each) => Math.max(...each) / Math.min(...each) - 1));
  if (drift > UNEVEN)
    notes.push(`${name}: a processor became up to ${percent(drift, 0)} slower between arms.`);
  const apart = Math.max(
    ...beside[0].map((ms, i) => Math.max(ms, beside[1][i]) / Math.min(ms, beside[1][i]) - 1),
  );
  if (apart > UNEVEN)
    notes.push(`${name}: one processor was up to ${percent(apart, 0)} faster than the other.`);
  return notes;
}
