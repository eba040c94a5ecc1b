import * as v from 'valibot';
import { FlagError, readChoice, readFlags, readWhole, type FlagSpec } from '../../shared/flags.ts';
import { complaint } from '../../shared/schema/common.ts';
import { RunConfigSchema, type RunConfig } from '../../shared/schema/config.ts';
import { runConfig } from '../defaults.ts';
import { gridComplaint, readGrid } from '../grid.ts';
import { modelGraph } from '../model/graph.ts';
import { MODEL_NAMES } from '../model/models.ts';
import { DEVICES_MAX, DEVICES_MIN, readDeviceFile, type DeviceFile } from './plan-devices.ts';
import { rangeOf } from './ranges.ts';

/** What one `npm run plan` does. */
export interface PlanOptions {
  /** Null only where help is asked for. */
  devices: DeviceFile | null;
  config: RunConfig;
  json: boolean;
  help: boolean;
}

export type ParsedPlanOptions = { ok: true; options: PlanOptions } | { ok: false; message: string };

const FLAGS = {
  devices: { example: '--devices test/cli/fixtures/devices.json' },
  task: { example: '--task mnist' },
  model: { example: '--model cnn' },
  partition: { example: '--partition hybrid' },
  grid: { example: '--grid 2x2' },
  shares: { example: '--shares measured' },
  wire: { example: '--wire int8' },
  schedule: { example: '--schedule async' },
  batch: { example: '--batch 128' },
  'micro-batches': { example: '--micro-batches 4' },
  optimizer: { example: '--optimizer adam' },
  json: { example: '--json', isSwitch: true },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
type Flag = keyof typeof FLAGS;

const { task, partition, shares, wire, batch, microBatches, optimizer, schedule } = RunConfigSchema.entries;
const defaults = runConfig();

export const PLAN_HELP = `Plans a training for devices and links that a file describes: who would hold what, and how long a step would take.

  npm run plan -- --model cnn ${FLAGS.devices.example}

  --devices FILE       ${DEVICES_MIN} to ${DEVICES_MAX} devices and their links, JSON (see below)
  --task T             ${task.options.join(', ')} (${defaults.task})
  --model M            ${MODEL_NAMES} (mlp)
  --partition P        ${partition.options.join(', ')} (${defaults.partition})
  --grid G             stages x lanes, such as 2x2, or auto (auto)
  --shares S           ${shares.options.join(', ')}: slices in proportion to speed, or all alike (${defaults.shares})
  --wire W             ${wire.options.join(', ')}: numbers between devices; auto is float32 here (${defaults.wire})
  --schedule S         ${schedule.wrapped.options.join(', ')}: steps one after the other, or overlapping (sync)
  --batch N            samples per optimizer step (${defaults.batch})
  --micro-batches M    micro-batches per step; the batch divides by it (${defaults.microBatches})
  --optimizer O        ${optimizer.entries.kind.options.join(', ')}: what it keeps takes memory (${defaults.optimizer.kind})
  --json               prints JSON
  --help, -h           show this

The file:

  { "devices": [{ "name": "laptop", "gflops": 20, "memoryMb": 512 },
                { "name": "phone", "modelMs": 120, "memoryMb": 64, "steadiness": 0.8 }],
    "links": [{ "a": "laptop", "b": "phone", "rttMs": 12, "mbitPerSecond": 60, "loss": 0.01 }],
    "defaultLink": { "rttMs": 8, "goodput": 7500000 } }

  gflops               billions of operations per second; a backward takes twice a forward
  modelMs              instead: the whole model's forward of one micro-batch; each gradient takes as long
  taskMs               what any task costs besides (0)
  memoryMb             what its tensors may take (no bound)
  steadiness           from 0, comes and goes, to 1, steady (1)
  goodput              bytes per second, or mbitPerSecond
  loss                 share of packets lost, 0 to 1 (0)
  defaultLink          of pairs without a link of their own; left out: they have none
`;

/** Reads the command line; what is wrong with it is one line that names the flag and the remedy. */
export function parsePlanOptions(args: readonly string[]): ParsedPlanOptions {
  try {
    return { ok: true, options: optionsOf(args) };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { ok: false, message: `${error.message} All flags: npm run plan -- --help` };
  }
}

function optionsOf(args: readonly string[]): PlanOptions {
  const given = readFlags<Flag>(args, FLAGS);
  const text = (flag: Flag) => given.get(flag) as string | undefined;
  const read = <T>(flag: Flag, reader: (value: string) => T): T | undefined => {
    const value = text(flag);
    return value === undefined ? undefined : reader(value);
  };
  const choice = <T extends string>(flag: Flag, choices: readonly T[]) =>
    read(flag, (value) => readChoice(flag, value, choices));
  const whole = (flag: Flag, schema: unknown) =>
    read(flag, (value) => readWhole(flag, value, rangeOf(schema), FLAGS[flag].example));
  const help = given.has('help');
  const choices = {
    task: choice('task', task.options),
    model: text('model'),
    partition: choice('partition', partition.options),
    grid: read('grid', (value) => flagged('grid', ' ', () => readGrid(value))),
    shares: choice('shares', shares.options),
    wire: choice('wire', wire.options),
    schedule: choice('schedule', schedule.wrapped.options),
    batch: whole('batch', batch),
    microBatches: whole('micro-batches', microBatches),
    optimizer: choice('optimizer', optimizer.entries.kind.options),
  };
  const config = flagged('model', ': ', () => {
    const made = runConfig(present(choices));
    modelGraph(made.model);
    return made;
  });
  const misfit = gridComplaint(config);
  if (misfit !== null) throw new FlagError(`--partition ${config.partition} --grid ${misfit}.`);
  const checked = v.safeParse(RunConfigSchema, config);
  if (!checked.success) throw new FlagError(`This run is not possible: ${complaint(checked.issues)}`);
  const file = text('devices');
  if (file === undefined && !help)
    throw new FlagError(`--devices is missing: for example ${FLAGS.devices.example}.`);
  const devices = file === undefined || help ? null : readDeviceFile(file);
  return { devices, config: checked.output, json: given.has('json'), help };
}

/** Without what was not given, so that defaults apply. */
const present = <T extends object>(choices: T): { [K in keyof T]?: NonNullable<T[K]> } =>
  Object.fromEntries(
    Object.entries(choices).filter(([, value]) => value !== undefined && value !== null),
  ) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };

/** What `make` throws, with the flag before it. */
function flagged<T>(flag: Flag, separator: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new FlagError(`--${flag}${separator}${error instanceof Error ? error.message : String(error)}`);
  }
}
