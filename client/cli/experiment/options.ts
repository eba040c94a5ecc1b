import {
  FlagError,
  readChoice,
  readFlags,
  readNumber,
  readWhole,
  type FlagSpec,
} from '../../../shared/flags.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { WIRE_FORMATS } from '../../../shared/wire.ts';
import { runConfig } from '../../defaults.ts';
import { checkBrowser } from '../paths.ts';
import { duration, percent } from '../progress.ts';
import { cellsOf, FULL, QUICK, TROUBLES, type Settings } from './grid.ts';

/** What one `npm run experiment` does. */
export interface ExperimentOptions {
  settings: Settings;
  /** Where results go. */
  out: string;
  browser: string | null;
  help: boolean;
}

const FLAGS = {
  quick: { example: '--quick', isSwitch: true },
  out: { example: '--out volatility' },
  seeds: { example: '--seeds 3' },
  seconds: { example: '--seconds 600' },
  troubles: { example: '--troubles loss-30,outage-25' },
  ways: { example: '--ways hybrid-deadline,vertical-repair' },
  model: { example: '--model mlp:128-64-32' },
  wire: { example: '--wire float32' },
  'device-ms': { example: '--device-ms 20' },
  rooms: { example: '--rooms 1' },
  browser: { example: '--browser /usr/bin/chromium' },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
type Flag = keyof typeof FLAGS;

const NAMES = TROUBLES.map(({ name }) => name);
const WAYS = FULL.ways.map((way) => way.replace(' ', '-'));
/** One that does not train is no experiment, and the processor has to hold out. */
const SECONDS = { min: 20, max: 86_400 };
const SEEDS = { min: 1, max: 100 };
const ROOMS = { min: 1, max: 8 };

export const EXPERIMENT_HELP = `Re-runs a comparison in real browsers, at equal wall clock.

  npm run experiment -- volatility [flags]

  volatility       ways to cut a model (stages of lanes, stages, lanes, the planner's choice) and rules for lost parts
                   (go on, wait, drop, ask again a few times) on links that lose, burst, fail, and with a device that stalls

  --quick          fewer cells and ${percent(QUICK.target, 0)} as the target: under 10 minutes on two cores
  --out DIR        results: table.md, results.json, page.html; a run that was interrupted goes on there
                   (volatility, or volatility-quick)
  --seeds N        runs of each cell (${FULL.seeds})
  --seconds N      a run that has not reached ${percent(FULL.target, 1)} of the test images by then ends (${FULL.seconds})
  --troubles LIST  of ${NAMES.join(', ')} (all)
  --ways LIST      of ${WAYS.slice(0, 4).join(', ')},
                   ... ${WAYS.at(-1)} (all)
  --model M        dense layers with these widths (${FULL.model})
  --wire F         how numbers of parts travel: ${WIRE_FORMATS.join(', ')} (${FULL.wire})
  --device-ms N    milliseconds that a device takes for the whole model's forward of a micro-batch (${FULL.deviceMs})
  --rooms N        rooms that train at the same time (${FULL.rooms}); the table tells how busy processors were
  --browser PATH   the Chromium or Chrome to use (the one that is installed)
  --help, -h       show this

All of it is ${cellsOf(FULL).length} runs, each of ${duration(1000 * FULL.compareSeconds)} to ${duration(1000 * FULL.seconds)}.
`;

/** Reads the command line. Throws a FlagError whose message is one line for people. */
export function parseExperimentOptions(args: readonly string[]): ExperimentOptions {
  const words = args.filter((arg) => arg !== '--');
  const [first = '', ...rest] = words;
  const isFlag = first.startsWith('-');
  const given = readFlags<Flag>(isFlag ? words : rest, FLAGS);
  const help = given.has('help');
  if (!help && first !== 'volatility')
    throw new FlagError(
      isFlag || first === ''
        ? 'Say which experiment: volatility.'
        : `There is no experiment "${first}": choose volatility.`,
    );
  const isQuick = given.has('quick');
  const base = isQuick ? QUICK : FULL;
  const textOf = (flag: Flag) => (given.get(flag) as string | undefined) ?? null;
  const whole = (flag: Flag, range: { min: number; max: number }) => {
    const text = textOf(flag);
    return text === null ? null : readWhole(flag, text, range, FLAGS[flag].example);
  };
  const list = <T extends string>(flag: Flag, choices: readonly T[]) =>
    textOf(flag)
      ?.split(',')
      .map((item) => readChoice(flag, item.trim(), choices)) ?? null;
  const deviceMs = textOf('device-ms');
  const seconds = whole('seconds', SECONDS) ?? base.seconds;
  const settings: Settings = {
    ...base,
    model: modelOf(textOf('model') ?? base.model),
    wire: readChoice('wire', textOf('wire') ?? base.wire, WIRE_FORMATS),
    deviceMs:
      deviceMs === null
        ? base.deviceMs
        : readNumber('device-ms', deviceMs, { min: 0, max: 10_000, aboveMin: true }, '--device-ms 20'),
    seconds,
    compareSeconds: Math.min(base.compareSeconds, seconds),
    seeds: whole('seeds', SEEDS) ?? base.seeds,
    rooms: whole('rooms', ROOMS) ?? base.rooms,
    troubles: list('troubles', NAMES) ?? base.troubles,
    ways: list('ways', WAYS)?.map((way) => way.replace('-', ' ')) ?? base.ways,
  };
  const browser = textOf('browser');
  if (!help && browser !== null) checkBrowser(browser);
  return { settings, out: textOf('out') ?? (isQuick ? 'volatility-quick' : 'volatility'), browser, help };
}

/** Only dense layers are tested outside of a room. */
function modelOf(text: string): string {
  const message = `--model wants dense layers, such as mlp or mlp:128-64-32, not "${text}".`;
  try {
    const { layers } = runConfig({ model: text }).model;
    if (layers.length > LIMITS.run.layers || layers.some(({ kind }) => kind !== 'dense'))
      throw new FlagError(message);
  } catch {
    throw new FlagError(message);
  }
  return text;
}
