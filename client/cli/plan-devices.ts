import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { FlagError } from '../../shared/flags.ts';
import { complaint, name, real } from '../../shared/schema/common.ts';
import { modelGraph } from '../model/graph.ts';
import type { PlannerLink } from '../planner/links.ts';
import type { Device } from '../planner/profile.ts';
import type { RunConfig } from '../../shared/schema/config.ts';

/** Described devices and links, for planning without a room. */

export const DEVICES_MIN = 2;
export const DEVICES_MAX = 256;

const positive = (max: number) => v.pipe(real(0, max), v.gtValue(0));
const isOne = (a: unknown, b: unknown): boolean => (a === undefined) !== (b === undefined);

const NameSchema = name(64);

const DescribedSchema = v.strictObject({
  name: NameSchema,
  /** Billions of operations per second; the backward of a layer takes twice as many as its forward. */
  gflops: v.optional(positive(1e9)),
  /** Milliseconds for the whole model's forward of one micro-batch; the backward takes as long. */
  modelMs: v.optional(positive(1e9)),
  /** What any task costs, however small. */
  taskMs: v.optional(real(0, 1e6)),
  memoryMb: v.optional(positive(1e9)),
  steadiness: v.optional(real(0, 1)),
});

const linkEntries = {
  rttMs: real(0, 1e6),
  /** Bytes per second. */
  goodput: v.optional(positive(1e12)),
  mbitPerSecond: v.optional(positive(1e6)),
  loss: v.optional(v.pipe(real(0, 1), v.ltValue(1))),
};
interface Speed {
  goodput?: number | undefined;
  mbitPerSecond?: number | undefined;
}
const speedGiven = <T extends Speed>() =>
  v.check<T, string>(
    ({ goodput, mbitPerSecond }) => isOne(goodput, mbitPerSecond),
    'needs either goodput or mbitPerSecond.',
  );

const FileSchema = v.strictObject({
  devices: v.pipe(
    v.array(
      v.pipe(
        DescribedSchema,
        v.check(({ gflops, modelMs }) => isOne(gflops, modelMs), 'needs either gflops or modelMs.'),
      ),
    ),
    v.minLength(DEVICES_MIN, `There must be ${DEVICES_MIN} devices or more.`),
    v.maxLength(DEVICES_MAX, `There may be ${DEVICES_MAX} devices at most.`),
  ),
  links: v.optional(
    v.array(v.pipe(v.strictObject({ a: NameSchema, b: NameSchema, ...linkEntries }), speedGiven())),
  ),
  /** Of all pairs that have no link of their own; left out: they have none. */
  defaultLink: v.optional(v.pipe(v.strictObject(linkEntries), speedGiven())),
});
export type DeviceFile = v.InferOutput<typeof FileSchema>;

/** Reads a file of devices and links. Throws a FlagError that says what is wrong with it. */
export function readDeviceFile(file: string): DeviceFile {
  const text = readText(file);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new FlagError(
      `--devices ${file} is not JSON: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  const checked = v.safeParse(FileSchema, parsed, { abortEarly: true });
  if (!checked.success) throw new FlagError(`--devices ${file}: ${complaint(checked.issues)}`);
  const misfit = misfitOf(checked.output);
  if (misfit !== null) throw new FlagError(`--devices ${file}: ${misfit}`);
  return checked.output;
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new FlagError(
      isMissing
        ? `--devices ${file}: there is no such file.`
        : `--devices ${file} cannot be read: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}

function misfitOf({ devices, links = [], defaultLink }: DeviceFile): string | null {
  const names = new Set(devices.map((device) => device.name));
  if (names.size < devices.length) {
    const twice = devices.find(({ name }, i) => devices.findIndex((device) => device.name === name) < i)!;
    return `two devices are called "${twice.name}": give each a name of its own.`;
  }
  const seen = new Set<string>();
  for (const { a, b } of links) {
    const stranger = [a, b].find((end) => !names.has(end));
    if (stranger !== undefined) return `a link names "${stranger}", but no device is called so.`;
    if (a === b) return `"${a}" has a link to itself: leave it out.`;
    const key = [a, b].sort().join('\n');
    if (seen.has(key)) return `the link of "${a}" and "${b}" is there twice: give it once.`;
    seen.add(key);
  }
  if (links.length === 0 && !defaultLink)
    return 'there are no links: give "links", or a "defaultLink" for all pairs.';
  return null;
}

/** The devices as the planner takes them; a name serves as peer id. */
export function devicesOf({ devices }: DeviceFile, { model, batch, microBatches }: RunConfig): Device[] {
  const { nodes } = modelGraph(model);
  const all = nodes.reduce((sum, node) => sum + node.operations, 0);
  const layers = model.layers.map(({ name: layer }) =>
    nodes.filter((node) => node.layer === layer).reduce((sum, node) => sum + node.operations, 0),
  );
  return devices.map(({ name: peer, gflops, modelMs, taskMs = 0, memoryMb, steadiness = 1 }) => ({
    peer,
    layerCosts: layers.map((operations) => {
      const forwardMs =
        gflops === undefined
          ? (modelMs! * operations) / all
          : (operations * (batch / microBatches)) / (gflops * 1e6);
      // Each gradient takes as many operations as the forward.
      return { forwardMs, backwardMs: 2 * forwardMs, weightsMs: forwardMs };
    }),
    fixedShare: 0,
    taskMs,
    msPerNumber: 0,
    grain: 1,
    onProcessor: false,
    memoryBytes: memoryMb === undefined ? null : memoryMb * 1e6,
    steadiness,
  }));
}

export function linksOf({ devices, links = [], defaultLink }: DeviceFile): PlannerLink[] {
  const keyOf = (a: string, b: string) => [a, b].sort().join('\n');
  const own = new Map(links.map((link) => [keyOf(link.a, link.b), link]));
  return devices.flatMap(({ name: a }, i) =>
    devices.slice(i + 1).flatMap(({ name: b }) => {
      const link = own.get(keyOf(a, b)) ?? defaultLink;
      if (!link) return [];
      const { rttMs, goodput, mbitPerSecond, loss = 0 } = link;
      return [{ a, b, rttMs, loss, goodput: goodput ?? (mbitPerSecond! * 1e6) / 8 }];
    }),
  );
}
