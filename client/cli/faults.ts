import { shortestBurst } from '../../shared/bursts.ts';
import {
  FlagError,
  readNumber,
  readWhole,
  type FlagSpec,
  type GivenFlags,
  type NumberRange,
} from '../../shared/flags.ts';
import { FaultsSchema, type Faults, type LinkFaults } from '../../shared/schema/faults.ts';
import { readLinks, readPair, type LinkValues } from './lists.ts';
import { rangeOf } from './ranges.ts';

/** Flags that ask for faults, with an example each. */
export const FAULT_FLAGS = {
  drop: { example: '--drop 0.3' },
  burst: { example: '--burst 5' },
  jitter: { example: '--jitter 20' },
  duplicate: { example: '--duplicate 0.1' },
  reorder: { example: '--reorder 0.1' },
  outage: { example: '--outage 0.25:2' },
  stall: { example: '--stall 3:5:15' },
  cut: { example: '--cut 1-2@100..150' },
  'drop-tests': { example: '--drop-tests', isSwitch: true },
} satisfies Record<string, FlagSpec>;
type FaultFlag = keyof typeof FAULT_FLAGS;

/** How pages of the command are named. */
const nameOf = (peer: number): string => `peer ${peer}`;

const SHARE = { min: 0, max: 1 };
const SECONDS = { min: 0, max: 86_400, aboveMin: true };
const { burst, jitterMs } = FaultsSchema.entries;

/** The faults that flags ask for; null where they ask for none. Throws a FlagError that says what is wrong and what to do. */
export function readFaults(
  given: Pick<GivenFlags<FaultFlag>, 'get' | 'has'>,
  peers: number,
  steps: number,
): Faults | null {
  const textOf = (flag: FaultFlag) => (given.get(flag) as string | undefined) ?? null;
  const number = (flag: FaultFlag, range: NumberRange) =>
    readOf(flag, textOf, peers, 'number', (text, link) =>
      readNumber(flag, text, range, exampleOf(flag, link)),
    );
  const values: { [K in keyof LinkFaults]-?: LinkValues<NonNullable<LinkFaults[K]>> | null } = {
    drop: number('drop', SHARE),
    burst: number('burst', rangeOf(burst)),
    jitterMs: number('jitter', rangeOf(jitterMs)),
    duplicate: number('duplicate', SHARE),
    reorder: number('reorder', SHARE),
    outage: readOf('outage', textOf, peers, 'share:seconds', readOutage),
  };
  const all = linkFaults(values, ({ all: value }) => value);
  const pairs = new Map(
    Object.values(values).flatMap((one) =>
      (one?.named ?? []).map(({ a, b }) => [`${a}-${b}`, [a, b]] as const),
    ),
  );
  const links = [...pairs.values()].map(([a, b]) => {
    const own = linkFaults(
      values,
      ({ named }) => named.find((link) => link.a === a && link.b === b)?.value ?? null,
    );
    return { between: [nameOf(a), nameOf(b)] as [string, string], ...all, ...own };
  });
  for (const link of [all, ...links]) checkBurst(link);
  const tests = given.has('drop-tests');
  if (tests && !given.has('drop') && !given.has('outage'))
    throw new FlagError('--drop-tests has tests meet the losses of training: give --drop or --outage, too.');
  const stall = textOf('stall');
  const cut = textOf('cut');
  const faults: Faults = {
    ...all,
    ...(tests && { tests }),
    ...(links.length > 0 && { links }),
    ...(stall !== null && { stalls: stall.split(',').map((item) => readStall(item.trim(), peers)) }),
    ...(cut !== null && { cuts: cut.split(',').map((item) => readCut(item.trim(), peers, steps)) }),
  };
  return Object.keys(faults).length > 0 ? faults : null;
}

const exampleOf = (flag: FaultFlag, link: string): string =>
  FAULT_FLAGS[flag].example.replace(' ', ` ${link}`);

function readOf<T>(
  flag: FaultFlag,
  textOf: (flag: FaultFlag) => string | null,
  peers: number,
  what: string,
  read: (text: string, link: string) => T,
): LinkValues<T> | null {
  const text = textOf(flag);
  return text === null ? null : readLinks(flag, text, peers, what, read);
}

function linkFaults(
  values: { [K in keyof LinkFaults]-?: LinkValues<NonNullable<LinkFaults[K]>> | null },
  pick: <T>(value: LinkValues<T>) => T | null,
): LinkFaults {
  const found = Object.entries(values).map(([key, value]) => [
    key,
    value && pick(value as LinkValues<unknown>),
  ]);
  return Object.fromEntries(found.filter(([, value]) => value !== null)) as LinkFaults;
}

function readOutage(text: string, link: string): NonNullable<LinkFaults['outage']> {
  const example = exampleOf('outage', link);
  const match = /^([^:]+):([^:]+)$/.exec(text);
  if (!match) throw new FlagError(`--outage wants share:seconds, not "${text}": for example ${example}.`);
  const share = readNumber('outage', match[1], SHARE, example);
  if (share === 1)
    throw new FlagError(`--outage ${text}: a link that is down all the time is no link; see --cut.`);
  return { share, seconds: readNumber('outage', match[2], SECONDS, example) };
}

function checkBurst({ drop = 0, burst: mean }: LinkFaults): void {
  if (mean === undefined) return;
  if (drop === 0) throw new FlagError(`--burst says how many frames are lost in a row: give --drop, too.`);
  const least = shortestBurst(drop);
  if (mean < least) {
    throw new FlagError(
      `--burst ${mean} is too short where ${drop} of all frames are lost: give at least ${Math.ceil(100 * least) / 100}.`,
    );
  }
}

function readStall(item: string, peers: number): NonNullable<Faults['stalls']>[number] {
  const { example } = FAULT_FLAGS.stall;
  const match = /^([^:]+):([^:]+):([^:]+)$/.exec(item);
  if (!match) throw new FlagError(`--stall wants peer:seconds:every, not "${item}": for example ${example}.`);
  const peer = readWhole('stall', match[1], { min: 1, max: peers }, example);
  const seconds = readNumber('stall', match[2], SECONDS, example);
  const everySeconds = readNumber('stall', match[3], SECONDS, example);
  if (seconds >= everySeconds)
    throw new FlagError(
      `--stall ${item}: a peer that stalls ${seconds} s in every ${everySeconds} s does nothing.`,
    );
  return { peer: nameOf(peer), seconds, everySeconds };
}

function readCut(item: string, peers: number, steps: number): NonNullable<Faults['cuts']>[number] {
  const { example } = FAULT_FLAGS.cut;
  const match = /^(\d+)-(\d+)@(\d+)\.\.(\d+)$/.exec(item);
  if (!match) throw new FlagError(`--cut wants peer-peer@step..step, not "${item}": for example ${example}.`);
  const [a, b] = readPair('cut', item, match[1], match[2], peers);
  const [first, last] = [match[3], match[4]].map((text) =>
    readWhole('cut', text, { min: 0, max: steps - 1 }, example),
  );
  if (first > last) throw new FlagError(`--cut ${item}: step ${first} comes after step ${last}.`);
  return { between: [nameOf(a), nameOf(b)], steps: [first, last] };
}
