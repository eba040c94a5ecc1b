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
import { gridComplaint, gridText, readGrid } from '../grid.ts';
import { modelGraph, sizeOf } from '../model/graph.ts';
import { layerStates } from '../model/import-model.ts';
import type { LayerState } from '../ports/compute.ts';
import { TASKS } from '../data/tasks.ts';
import { FAULT_FLAGS, readFaults } from './faults.ts';
import { readDelays, readPerPeer, readSteps, type LinkDelay } from './lists.ts';
import { isModelFile, readModelFile } from './model-input.ts';
import { checkBrowser, checkDataSet, checkOutputFile, checkSaveDir } from './paths.ts';
import { rangeOf } from './ranges.ts';
import { DEFAULT_PEERS, DEFAULT_TIMEOUT_SECONDS } from './swarm-help.ts';

/** What one `npm run swarm` does. */
export interface SwarmOptions {
  peers: number;
  config: RunConfig;
  /** Steps at which the room plans anew, ascending. */
  replan: number[];
  /** What the run begins with, where the model came with weights. */
  weights: LayerState[] | null;
  /** Where the report goes. */
  report: string | null;
  /** Where the timelines of all peers go, as a trace. */
  trace: string | null;
  /** The directory for the trained model. */
  save: string | null;
  browser: string | null;
  isolate: boolean;
  /** Emulated devices: milliseconds, one per peer. */
  deviceMs: number[] | null;
  /** Budgets for tensors, one per peer. */
  memoryBytes: number[] | null;
  delays: LinkDelay[];
  watch: boolean;
  /** 0: any free one. */
  port: number;
  timeoutSeconds: number;
  help: boolean;
}

export type ParsedSwarmOptions = { ok: true; options: SwarmOptions } | { ok: false; message: string };

export const SWARM_FLAGS = {
  peers: { example: '--peers 4' },
  task: { example: '--task fashion' },
  model: { example: '--model cnn' },
  partition: { example: '--partition hybrid' },
  grid: { example: '--grid 2x2' },
  shares: { example: '--shares measured' },
  wire: { example: '--wire int8' },
  replan: { example: '--replan 100,300' },
  ordering: { example: '--ordering random' },
  schedule: { example: '--schedule async' },
  rule: { example: '--rule deadline' },
  copies: { example: '--copies off' },
  steps: { example: '--steps 600' },
  batch: { example: '--batch 128' },
  'micro-batches': { example: '--micro-batches 4' },
  optimizer: { example: '--optimizer adam' },
  'learning-rate': { example: '--learning-rate 0.003' },
  decay: { example: '--decay linear' },
  seed: { example: '--seed 1' },
  report: { example: '--report out.json' },
  trace: { example: '--trace trace.json' },
  save: { example: '--save model' },
  browser: { example: '--browser /usr/bin/chromium' },
  isolate: { example: '--isolate', isSwitch: true },
  'device-ms': { example: '--device-ms 200,200,400,100' },
  'memory-mb': { example: '--memory-mb 64,64,128,32' },
  delay: { example: '--delay 1-2:80,1-3:20' },
  ...FAULT_FLAGS,
  watch: { example: '--watch', isSwitch: true },
  port: { example: '--port 8081' },
  timeout: { example: '--timeout 600' },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
export type SwarmFlag = keyof typeof SWARM_FLAGS;

const DAY_SECONDS = 86_400;
const MEMORY_MB = { min: 0, max: 1e9, aboveMin: true };

const { steps, batch, microBatches, seed, task, partition, shares, wire, ordering, schedule, rule } =
  RunConfigSchema.entries;
const optimizers = OptimizerSchema.entries;
const defaults = runConfig();
/** Reads the command line; what is wrong with it is one line that names the flag and the remedy. */
export function parseSwarmOptions(args: readonly string[]): ParsedSwarmOptions {
  try {
    const given = readFlags<SwarmFlag>(args, SWARM_FLAGS);
    return { ok: true, options: swarmOptions(given) };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { ok: false, message: `${error.message} All flags: npm run swarm -- --help` };
  }
}

/** What flags ask for. Throws a FlagError. */
export function swarmOptions(given: GivenFlags<SwarmFlag>): SwarmOptions {
  const help = given.has('help');
  const textOf = (flag: SwarmFlag) => (given.get(flag) as string | undefined) ?? null;
  const read = <T>(flag: SwarmFlag, reader: (text: string) => T): T | null => {
    const text = textOf(flag);
    return text === null ? null : reader(text);
  };
  const whole = (flag: SwarmFlag, range: { min: number; max: number }) =>
    read(flag, (text) => readWhole(flag, text, range, SWARM_FLAGS[flag].example));

  const peers = whole('peers', { min: 1, max: LIMITS.room.peers }) ?? DEFAULT_PEERS;
  const { config, weights } = configOf(given, whole, peers);
  const watch = given.has('watch');
  const options: SwarmOptions = {
    peers,
    config,
    replan: read('replan', (text) => readSteps('replan', text, config.steps)) ?? [],
    weights,
    report: textOf('report'),
    trace: textOf('trace'),
    save: textOf('save'),
    browser: textOf('browser'),
    isolate: given.has('isolate'),
    deviceMs: read('device-ms', (text) =>
      readPerPeer('device-ms', text, peers, { ...rangeOf(DeviceSchema.entries.emulatedMs), aboveMin: true }),
    ),
    memoryBytes:
      read('memory-mb', (text) => readPerPeer('memory-mb', text, peers, MEMORY_MB))?.map((mb) =>
        Math.ceil(mb * 1e6),
      ) ?? null,
    delays: read('delay', (text) => readDelays('delay', text, peers)) ?? [],
    watch,
    port: read('port', (text) => readPort(text)) ?? 0,
    timeoutSeconds: whole('timeout', { min: 1, max: 7 * DAY_SECONDS }) ?? DEFAULT_TIMEOUT_SECONDS,
    help,
  };
  // Others may come in where somebody watches.
  if (config.grid && !watch) checkPeers(config.grid, peers);
  if (!help) {
    checkDataSet(config.task);
    if (options.report !== null) checkOutputFile('report', options.report);
    if (options.trace !== null) checkOutputFile('trace', options.trace);
    if (options.save !== null) checkSaveDir(options.save);
    if (options.browser !== null) checkBrowser(options.browser);
  }
  return options;
}

function configOf(
  given: GivenFlags<SwarmFlag>,
  whole: (flag: SwarmFlag, range: { min: number; max: number }) => number | null,
  peers: number,
): Pick<SwarmOptions, 'config' | 'weights'> {
  const textOf = (flag: SwarmFlag) => given.get(flag) as string | undefined;
  const choice = <T extends string>(flag: SwarmFlag, choices: readonly T[]) => {
    const text = textOf(flag);
    return text === undefined ? null : readChoice(flag, text, choices);
  };
  const taskName = choice('task', task.options) ?? defaults.task;
  const cut = {
    partition: choice('partition', partition.options),
    shares: choice('shares', shares.options),
    wire: choice('wire', wire.options),
    schedule: choice('schedule', schedule.wrapped.options),
    rule: choice('rule', rule.wrapped.options),
  };
  const copies = choice('copies', ['on', 'off'] as const);
  const gridGiven = textOf('grid');
  const grid = gridGiven === undefined ? null : flagged('grid', ' ', () => readGrid(gridGiven));
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
        : readNumber('learning-rate', rate, rateRange, SWARM_FLAGS['learning-rate'].example),
  };
  const faults = readFaults(given, peers, numbers.steps ?? defaults.steps);
  const text = textOf('model');
  const { config, weights } = flagged('model', ': ', () => {
    const imported = text !== undefined && isModelFile(text) ? readModelFile(text, sizesOf(taskName)) : null;
    const model = imported?.model ?? text ?? null;
    const made = runConfig({
      ...(copies === 'off' && { copies: false }),
      ...present({ ...numbers, ...cut, faults, task: taskName, grid, optimizer, decay, model }),
      onDeparture: 'continue',
    });
    modelGraph(made.model);
    return { config: made, weights: imported?.weights ? layerStates(imported.weights) : null };
  });
  const misfit = gridComplaint(config);
  if (misfit !== null) throw new FlagError(`--partition ${config.partition} --grid ${misfit}.`);
  if (config.batch % config.microBatches !== 0) {
    const fitting = config.microBatches * Math.max(1, Math.floor(config.batch / config.microBatches));
    throw new FlagError(
      `--batch ${config.batch} does not divide into ${config.microBatches} micro-batches of equal size: ` +
        `for example --batch ${fitting} --micro-batches ${config.microBatches}.`,
    );
  }
  const order = choice('ordering', ordering.wrapped.options);
  const checked = v.safeParse(RunConfigSchema, { ...config, ...(order && { ordering: order }) });
  if (!checked.success) throw new FlagError(`This run is not possible: ${complaint(checked.issues)}.`);
  return { config: checked.output, weights };
}

/** Without what was not given, so that defaults apply. */
function present<T extends object>(choices: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(choices).filter(([, value]) => value !== null)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

/** What `make` throws, with the flag before it. */
function flagged<T>(flag: SwarmFlag, separator: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new FlagError(`--${flag}${separator}${error instanceof Error ? error.message : String(error)}`);
  }
}

function sizesOf(taskName: RunConfig['task']): { inputs: number; classes: number } {
  const { inputShape, classes } = TASKS[taskName];
  return { inputs: sizeOf(inputShape), classes };
}

function checkPeers(grid: NonNullable<RunConfig['grid']>, peers: number): void {
  const needed = grid.stages * grid.lanes;
  if (needed <= peers) return;
  const remedy =
    needed > LIMITS.room.peers
      ? `choose a smaller grid: a room takes ${LIMITS.room.peers} peers at most`
      : `give --peers ${needed}, or choose a smaller grid`;
  throw new FlagError(`--grid ${gridText(grid)} needs ${needed} peers, but --peers is ${peers}: ${remedy}.`);
}
