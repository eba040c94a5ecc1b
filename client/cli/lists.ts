import { FlagError, readNumber, readWhole, type NumberRange } from '../../shared/flags.ts';
import { LIMITS } from '../../shared/limits.ts';

/** Messages between two peers (numbered from 1) come this much later, in both directions. */
export interface LinkDelay {
  a: number;
  b: number;
  ms: number;
}

/** A number for each peer: as many as there are peers, or one for all. Throws a FlagError. */
export function readPerPeer(flag: string, text: string, peers: number, range: NumberRange): number[] {
  const example = `--${flag} ${Array.from({ length: peers }, () => 200).join(',')}`;
  const values = text.split(',').map((item) => readNumber(flag, item.trim(), range, example));
  if (values.length === 1) return Array.from({ length: peers }, () => values[0]);
  if (values.length === peers) return values;
  throw new FlagError(
    `--${flag} has ${values.length} numbers for ${peers} peers: give one per peer, or a single one for all.`,
  );
}

/** Steps that a run reaches before its end, ascending: `100,300`. Throws a FlagError. */
export function readSteps(flag: string, text: string, steps: number): number[] {
  const found = text.split(',').map((item) => {
    const step = readWhole(flag, item.trim(), { min: 1, max: LIMITS.run.steps }, `--${flag} 100,300`);
    if (step < steps) return step;
    throw new FlagError(
      `--${flag} ${step} is no step before the end of a run of ${steps}: give smaller ones, or more --steps.`,
    );
  });
  const twice = found.find((step, i) => found.indexOf(step) < i);
  if (twice !== undefined) throw new FlagError(`--${flag} names step ${twice} twice: name it once.`);
  return found.sort((a, b) => a - b);
}

/** `1-2:80,1-3:20`, or one number for every link. Throws a FlagError. */
export function readDelays(flag: string, text: string, peers: number): LinkDelay[] {
  // There and back within the time that a question to the coordinator may take.
  const range = { min: 0, max: LIMITS.election.claimTimeoutMs / 2 };
  const { all, named } = readLinks(flag, text, peers, 'milliseconds', (value, example) =>
    readNumber(flag, value, range, example === '' ? `--${flag} 80` : `--${flag} ${example}80`),
  );
  if (all !== null) return pairs(peers).map(([a, b]) => ({ a, b, ms: all }));
  return named.map(({ a, b, value: ms }) => ({ a, b, ms }));
}

/** What a flag says of links: one value for all of them, or some of them with a value each. */
export interface LinkValues<T> {
  all: T | null;
  named: { a: number; b: number; value: T }[];
}

/**
 * `1-2:VALUE,1-3:VALUE`, or one value for every link. Throws a FlagError.
 * @param read a value; `example` is the link to show before one, empty for all links
 */
export function readLinks<T>(
  flag: string,
  text: string,
  peers: number,
  what: string,
  read: (text: string, example: string) => T,
): LinkValues<T> {
  if (!text.includes('-') && (!text.includes(':') || what.includes(':')))
    return { all: read(text, ''), named: [] };
  const named: LinkValues<T>['named'] = [];
  for (const item of text.split(',').map((part) => part.trim())) {
    const match = /^(\d+)-(\d+):(.*)$/.exec(item);
    if (!match) {
      const example = what === 'milliseconds' ? `: for example --${flag} 1-2:80` : '';
      throw new FlagError(`--${flag} wants peer-peer:${what}, not "${item}"${example}.`);
    }
    const [a, b] = readPair(flag, item, match[1], match[2], peers);
    if (named.some((link) => link.a === a && link.b === b)) {
      throw new FlagError(`--${flag} names the link ${a}-${b} twice: name it once.`);
    }
    named.push({ a, b, value: read(match[3], '1-2:') });
  }
  return { all: null, named };
}

/** Two different peers, the smaller number first. Throws a FlagError that quotes `item`. */
export function readPair(
  flag: string,
  item: string,
  one: string,
  other: string,
  peers: number,
): [number, number] {
  const [a, b] = [Number(one), Number(other)].sort((x, y) => x - y);
  if (a < 1 || b > peers) {
    throw new FlagError(
      `--${flag} ${item}: there is no peer ${a < 1 ? a : b}; peers have numbers from 1 to ${peers}.`,
    );
  }
  if (a === b) throw new FlagError(`--${flag} ${item}: a peer has no link to itself.`);
  return [a, b];
}

function pairs(peers: number): [number, number][] {
  const found: [number, number][] = [];
  for (let a = 1; a <= peers; a++) for (let b = a + 1; b <= peers; b++) found.push([a, b]);
  return found;
}
