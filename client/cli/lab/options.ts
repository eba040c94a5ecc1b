import {
  FlagError,
  readChoice,
  readFlags,
  readNumber,
  readWhole,
  type FlagSpec,
} from '../../../shared/flags.ts';
import { shortestBurst } from '../../../shared/bursts.ts';
import { LIMITS } from '../../../shared/limits.ts';
import { SWARM_FLAGS, swarmOptions, type SwarmFlag, type SwarmOptions } from '../swarm-options.ts';
import type { Cut } from './cuts.ts';
import type { LineTraits } from './line.ts';

/** What the links and the devices of a lab are like. */
export interface LabTraits extends LineTraits {
  /** Of each peer, each way; null: without a limit. */
  bitsPerSecond: number | null;
  /** Each host has one so-manieth of this machine's processors; 1: as much as it can get. */
  slow: number;
}

/** What one `npm run lab` does: a run like those of the swarm command, among hosts. */
export interface LabOptions {
  swarm: SwarmOptions;
  traits: LabTraits;
  cuts: Cut[];
  /** Without hosts: the browsers run on this machine, and the relay stands between them. */
  relayOnly: boolean;
}

export type ParsedLabOptions = { ok: true; options: LabOptions } | { ok: false; message: string };

const LAB_FLAGS = {
  loss: { example: '--loss 10' },
  'loss-burst': { example: '--loss-burst 5' },
  rate: { example: '--rate 20mbit' },
  latency: { example: '--latency 25' },
  'latency-jitter': { example: '--latency-jitter 10' },
  slow: { example: '--slow 6' },
  profile: { example: '--profile phone' },
  'cut-link': { example: '--cut-link 3@200:20' },
  'relay-only': { example: '--relay-only', isSwitch: true },
} satisfies Record<string, FlagSpec>;

const FLAGS = { ...SWARM_FLAGS, ...LAB_FLAGS };
type Flag = keyof typeof FLAGS;

/** Kinds of devices on kinds of networks. */
const PROFILES: Record<string, Partial<LabTraits>> = {
  phone: { slow: 6, bitsPerSecond: 8 * 150_000, latencyMs: 40, loss: 0.02 },
};
export const PROFILE_NAMES = Object.keys(PROFILES);

const UNITS: Record<string, number> = { kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const PLAIN: LabTraits = {
  loss: 0,
  burst: null,
  latencyMs: 0,
  jitterMs: 0,
  bitsPerSecond: null,
  slow: 1,
};

/** Reads the command line; what is wrong with it is one line that names the flag and the remedy. */
export function parseLabOptions(args: readonly string[]): ParsedLabOptions {
  try {
    const given = readFlags<Flag>(args, FLAGS);
    const swarm = swarmOptions(given as Map<SwarmFlag, string | true>);
    if (swarm.watch) throw new FlagError('--watch is not for the lab: nobody else can come to its network.');
    const textOf = (flag: Flag) => (given.get(flag) as string | undefined) ?? null;
    const relayOnly = given.has('relay-only');
    const traits = traitsOf(textOf);
    if (relayOnly && traits.slow !== 1)
      throw new FlagError('--slow slows hosts, and with --relay-only there are none: give --slow 1.');
    const cut = textOf('cut-link');
    const cuts = cut?.split(',').map((item) => readCut(item.trim(), swarm.peers, swarm.config.steps)) ?? [];
    return { ok: true, options: { swarm, traits, cuts, relayOnly } };
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return { ok: false, message: `${error.message} All flags: npm run lab -- --help` };
  }
}

/** Losses in bursts, and whatever takes time, are beyond a bridge. */
export const needsRelay = ({ traits, relayOnly }: LabOptions): boolean =>
  relayOnly || traits.latencyMs > 0 || traits.jitterMs > 0 || (traits.loss > 0 && traits.burst !== null);

function traitsOf(textOf: (flag: Flag) => string | null): LabTraits {
  const profile = textOf('profile');
  const traits = {
    ...PLAIN,
    ...(profile !== null && PROFILES[readChoice('profile', profile, PROFILE_NAMES)]),
  };
  const number = (flag: keyof typeof LAB_FLAGS, min: number, max: number): number | null => {
    const text = textOf(flag);
    return text === null ? null : readNumber(flag, text, { min, max }, LAB_FLAGS[flag].example);
  };
  const percent = number('loss', 0, 100);
  const rate = textOf('rate');
  const read: LabTraits = {
    loss: percent === null ? traits.loss : percent / 100,
    burst: number('loss-burst', 1, 1e6),
    latencyMs: number('latency', 0, LIMITS.lab.latencyMs) ?? traits.latencyMs,
    jitterMs: number('latency-jitter', 0, LIMITS.lab.latencyMs) ?? traits.jitterMs,
    bitsPerSecond: rate === null ? traits.bitsPerSecond : readRate(rate),
    slow: number('slow', 1, LIMITS.lab.slow) ?? traits.slow,
  };
  if (read.jitterMs > read.latencyMs)
    throw new FlagError(
      `--latency-jitter ${read.jitterMs} would let packets arrive before they were sent: give --latency ${read.jitterMs} or more.`,
    );
  if (read.burst !== null && read.loss === 0)
    throw new FlagError('--loss-burst says how many packets are lost in a row: give --loss, too.');
  const shortest = shortestBurst(read.loss);
  if (read.burst !== null && read.burst < shortest)
    throw new FlagError(
      `--loss-burst ${read.burst} is too short where ${100 * read.loss}% of all packets are lost: give at least ${Math.ceil(100 * shortest) / 100}.`,
    );
  return read;
}

function readRate(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(kbit|mbit|gbit)$/i.exec(text);
  const rate = match ? Math.round(Number(match[1]) * UNITS[match[2].toLowerCase()]) : 0;
  if (rate >= 8_000 && rate <= 1e11) return rate;
  throw new FlagError(
    `--rate wants bits per second from 8kbit to 100gbit, not "${text}": for example ${LAB_FLAGS.rate.example}.`,
  );
}

/** Stands for the peer that coordinates when the link is cut. */
const COORDINATOR = 'coordinator';

function readCut(item: string, peers: number, steps: number): Cut {
  const { example } = LAB_FLAGS['cut-link'];
  const match = /^([^@:]+)@([^@:]+):([^@:]+)$/.exec(item);
  if (!match)
    throw new FlagError(`--cut-link wants peer@step:seconds, not "${item}": for example ${example}.`);
  const range = { min: 0, max: LIMITS.lab.cutSeconds, aboveMin: true };
  return {
    peer: match[1] === COORDINATOR ? null : readWhole('cut-link', match[1], { min: 1, max: peers }, example),
    step: readWhole('cut-link', match[2], { min: 1, max: steps - 1 }, example),
    seconds: readNumber('cut-link', match[3], range, example),
  };
}
