import * as v from 'valibot';
import {
  FlagError,
  readChoice,
  readFlags,
  readNumber,
  readPort,
  readWhole,
  type FlagSpec,
  type GivenFlags,
} from '../../shared/flags.ts';
import { LIMITS } from '../../shared/limits.ts';
import { complaint } from '../../shared/schema/common.ts';
import { OptimizerSchema, RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';
import { DeviceSchema } from '../../shared/schema/control.ts';
import { runConfig } from '../defaults.ts';
import { modelShapes } from '../model/shapes.ts';
import { readDelays, readPerPeer, type LinkDelay } from './lists.ts';
import { checkBrowser, checkReportFile, checkSaveDir } from './paths.ts';
import { rangeOf } from './ranges.ts';

/** What one `npm run swarm` does. */
export interface SwarmOptions {
  peers: number;
  config: RunConfig;
  /** Where the report goes. */
  report: string | null;
  /** The directory for the trained model. */
  save: string | null;
  browser: string | null;
  isolate: boolean;
  /** Emulated devices: milliseconds, one per peer. */
  deviceMs: number[] | null;
  delays: LinkDelay[];
  watch: boolean;
  /** 0: any free one. */
  port: number;
  timeoutSeconds: number;
  help: boolean;
}

export type ParsedSwarmOptions = { ok: true; options: SwarmOptions } | { ok: false; message: string };

const FLAGS = {
  peers: { example: '--peers 4' },
  task: { example: '--task mnist' },
  model: { example: '--model mlp' },
  steps: { example: '--steps 600' },
  batch: { example: '--batch 128' },
  'micro-batches': { example: '--micro-batches 4' },
  optimizer: { example: '--optimizer adam' },
  'learning-rate': { example: '--learning-rate 0.003' },
  decay: { example: '--decay linear' },
  seed: { example: '--seed 1' },
  report: { example: '--report out.json' },
  save: { example: '--save model' },
  browser: { example: '--browser /usr/bin/chromium' },
  isolate: { example: '--isolate', isSwitch: true },
  'device-ms': { example: '--device-ms 200,200,400,100' },
  delay: { example: '--delay 1-2:80,1-3:20' },
  watch: { example: '--watch', isSwitch: true },
  port: { example: '--port 8081' },
  timeout: { example: '--timeout 600' },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
type Flag = keyof typeof FLAGS;

const DEFAULT_PEERS = 4;
const DEFAULT_TIMEOUT_SECONDS = 3600;
const DAY_SECONDS = 86_400;

const { steps, batch, microBatches, seed, task } = RunConfigSchema.entries;
const optimizers = OptimizerSchema.entries;
const defaults = runConfig();

export const SWARM_HELP = `Trains one neural network in several real browsers, which join a room as people do.

  npm run swarm -- [flags]

  --peers N            browsers, 1 to ${LIMITS.room.peers} (${DEFAULT_PEERS})
  --task T             ${task.options.join(', ')} (${defaults.task})
  --model M            mlp, or mlp:512-256 with the widths of its hidden layers (mlp)
  --steps N            optimizer steps (${defaults.steps})
  --batch N            samples per optimizer step (${defaults.batch})
  --micro-batches M    micro-batches per step; the batch divides by it (${defaults.microBatches})
  --optimizer O        ${optimizers.kind.options.join(', ')} (${defaults.optimizer.kind})
  --learning-rate X    (what suits the optimizer: ${defaults.optimizer.learningRate} for ${defaults.optimizer.kind})
  --decay D            ${optimizers.decay.options.join(', ')}: of the learning rate over the run (${defaults.optimizer.decay})
  --seed N             of the initial weights and the order of samples (${defaults.seed})
  --report FILE        writes the report of the run, JSON
  --save DIR           writes the trained model as a tfjs LayersModel: model.json, weights.bin
  --browser PATH       the Chromium or Chrome to use (the one that is installed)
  --isolate            one browser process per peer (one page per peer)
  --device-ms LIST     emulates devices: milliseconds for the whole model's forward of one micro-batch,
                       one number per peer, or one for all: 200,200,400,100
  --delay LIST         makes links slower: peer-peer:milliseconds each way, or one number for all: 1-2:80,1-3:20
  --watch              lets phones and laptops join: prints the room's address and waits for Enter
  --port N             port of the signaling server (any free one)
  --timeout SECONDS    gives up after this long (${DEFAULT_TIMEOUT_SECONDS})
  --help, -h           show this
`;

/** Reads the command line; what is wrong with it is one line that names the flag and the remedy. */
export function parseSwarmOptions(args: readonly string[]): ParsedSwarmOptions {
  try {
    const given = readFlags<Flag>(args, FLAGS);
    return { ok: true, options: optionsOf(given) };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { ok: false, message: `${error.message} All flags: npm run swarm -- --help` };
  }
}

function optionsOf(given: GivenFlags<Flag>): SwarmOptions {
  const help = given.has('help');
  const textOf = (flag: Flag) => (given.get(flag) as string | undefined) ?? null;
  const read = <T>(flag: Flag, reader: (text: string) => T): T | null => {
    const text = textOf(flag);
    return text === null ? null : reader(text);
  };
  const whole = (flag: Flag, range: { min: number; max: number }) =>
    read(flag, (text) => readWhole(flag, text, range, FLAGS[flag].example));

  const peers = whole('peers', { min: 1, max: LIMITS.room.peers }) ?? DEFAULT_PEERS;
  const options: SwarmOptions = {
    peers,
    config: configOf(given, whole),
    report: textOf('report'),
    save: textOf('save'),
    browser: textOf('browser'),
    isolate: given.has('isolate'),
    deviceMs: read('device-ms', (text) =>
      readPerPeer('device-ms', text, peers, { ...rangeOf(DeviceSchema.entries.emulatedMs), aboveMin: true }),
    ),
    delays: read('delay', (text) => readDelays('delay', text, peers)) ?? [],
    watch: given.has('watch'),
    port: read('port', (text) => readPort(text)) ?? 0,
    timeoutSeconds: whole('timeout', { min: 1, max: 7 * DAY_SECONDS }) ?? DEFAULT_TIMEOUT_SECONDS,
    help,
  };
  if (!help) {
    if (options.report !== null) checkReportFile(options.report);
    if (options.save !== null) checkSaveDir(options.save);
    if (options.browser !== null) checkBrowser(options.browser);
  }
  return options;
}

function configOf(
  given: GivenFlags<Flag>,
  whole: (flag: Flag, range: { min: number; max: number }) => number | null,
): RunConfig {
  const textOf = (flag: Flag) => given.get(flag) as string | undefined;
  const choice = <T extends string>(flag: Flag, choices: readonly T[]) => {
    const text = textOf(flag);
    return text === undefined ? null : readChoice(flag, text, choices);
  };
  const taskName = choice('task', task.options);
  const optimizer = choice('optimizer', optimizers.kind.options);
  const rate = textOf('learning-rate');
  const decay = choice('decay', optimizers.decay.options);
  const rateRange = rangeOf(optimizers.learningRate);
  const numbers = {
    steps: whole('steps', rangeOf(steps)),
    batch: whole('batch', rangeOf(batch)),
    microBatches: whole('micro-batches', rangeOf(microBatches)),
    seed: whole('seed', rangeOf(seed)),
    learningRate:
      rate === undefined
        ? null
        : readNumber('learning-rate', rate, rateRange, FLAGS['learning-rate'].example),
  };
  const config = asFlagError('model', () => {
    const made = runConfig({
      ...present({ ...numbers, task: taskName, optimizer, decay, model: textOf('model') ?? null }),
      onDeparture: 'continue',
    });
    modelShapes(made.model);
    return made;
  });
  if (config.batch % config.microBatches !== 0) {
    const fitting = config.microBatches * Math.max(1, Math.floor(config.batch / config.microBatches));
    throw new FlagError(
      `--batch ${config.batch} does not divide into ${config.microBatches} micro-batches of equal size: ` +
        `for example --batch ${fitting} --micro-batches ${config.microBatches}.`,
    );
  }
  const checked = v.safeParse(RunConfigSchema, config);
  if (!checked.success) throw new FlagError(`This run is not possible: ${complaint(checked.issues)}.`);
  return checked.output;
}

/** Without what was not given, so that defaults apply. */
function present<T extends object>(choices: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(choices).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function asFlagError<T>(flag: Flag, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new FlagError(`--${flag}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
