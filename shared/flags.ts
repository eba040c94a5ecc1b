/** How the commands read their flags: one way, and every refusal is a sentence that says what to do. */

export interface FlagSpec {
  /** For a refusal: how it is used rightly, such as `--port 8081`. */
  example: string;
  /** Takes no value. */
  isSwitch?: boolean;
  /** A one-letter form, such as `h`. */
  short?: string;
}

export type FlagSpecs<Flag extends string> = Readonly<Record<Flag, FlagSpec>>;

/** What was given on the command line: the value, or `true` for a switch. */
export type GivenFlags<Flag extends string> = Map<Flag, string | true>;

/** A command line that is refused; the message is one sentence that names the flag and the remedy. */
export class FlagError extends Error {}

/** Splits a command line into flags and values. Throws a FlagError on what belongs to no flag, or is given twice. */
export function readFlags<Flag extends string>(
  args: readonly string[],
  specs: FlagSpecs<Flag>,
): GivenFlags<Flag> {
  const given: GivenFlags<Flag> = new Map();
  for (let i = 0; i < args.length; i++) {
    const arg = args[i];
    if (arg === '--') continue;
    if (!arg.startsWith('-')) throw new FlagError(`"${arg}" belongs to no flag.${suggestion(arg, specs)}`);
    const [rawName, inlineValue] = splitOnce(arg);
    const name = findFlag(rawName, specs);
    if (name === null) throw new FlagError(`There is no flag ${rawName}.${suggestion(rawName, specs)}`);
    if (given.has(name)) throw new FlagError(`--${name} is given twice: give it once.`);
    const { isSwitch, example } = specs[name];
    if (isSwitch) {
      if (inlineValue !== null) {
        throw new FlagError(`--${name} takes no value, but got "${inlineValue}": write only --${name}.`);
      }
      given.set(name, true);
    } else {
      const value = inlineValue ?? args.at(++i) ?? '';
      // `--port --https`: the next flag is not this one's value, but `--seed -1` means a number.
      const isNextFlag = inlineValue === null && /^-(?![\d.])/.test(value);
      if (value === '' || isNextFlag) throw new FlagError(`--${name} needs a value, such as ${example}.`);
      given.set(name, value);
    }
  }
  return given;
}

export interface NumberRange {
  min: number;
  max: number;
  /** `min` itself is not allowed. */
  aboveMin?: boolean;
}

/** Reads a whole number in plain digits. Throws a FlagError that states the range. */
export function readWhole(flag: string, text: string, { min, max }: NumberRange, example: string): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : NaN;
  if (value >= min && value <= max) return value;
  throw new FlagError(
    `--${flag} wants a whole number from ${min} to ${max}, not "${text}": for example ${example}.`,
  );
}

/** Reads a number such as `0.003` or `3e-3`. Throws a FlagError that states the range. */
export function readNumber(flag: string, text: string, range: NumberRange, example: string): number {
  const { min, max, aboveMin = false } = range;
  const value = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : NaN;
  if ((aboveMin ? value > min : value >= min) && value <= max) return value;
  const bounds = aboveMin ? `above ${min} and up to ${max}` : `from ${min} to ${max}`;
  throw new FlagError(`--${flag} wants a number ${bounds}, not "${text}": for example ${example}.`);
}

/** Reads one of a few words. Throws a FlagError that lists them. */
export function readChoice<Choice extends string>(
  flag: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new FlagError(`--${flag} wants ${choices.join(' or ')}, not "${text}".`);
}

/** Reads a port; 0 stands for any free one. Throws a FlagError. */
export function readPort(text: string, example = '--port 8081'): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (value <= 65535) return value;
  throw new FlagError(`--port wants a number from 0 to 65535, not "${text}": for example ${example}.`);
}

function splitOnce(arg: string): [name: string, value: string | null] {
  const at = arg.startsWith('--') ? arg.indexOf('=') : -1;
  return at < 0 ? [arg, null] : [arg.slice(0, at), arg.slice(at + 1)];
}

function findFlag<Flag extends string>(rawName: string, specs: FlagSpecs<Flag>): Flag | null {
  const names = Object.keys(specs) as Flag[];
  return names.find((name) => rawName === `--${name}` || rawName === `-${specs[name].short}`) ?? null;
}

/** ` Did you mean --port?` where a flag is that near, else nothing. */
function suggestion<Flag extends string>(word: string, specs: FlagSpecs<Flag>): string {
  const bare = word.replace(/^-+/, '').toLowerCase();
  const ranked = Object.keys(specs)
    .map((flag) => ({ flag, distance: editDistance(bare, flag) }))
    .sort((a, b) => a.distance - b.distance);
  const { flag, distance } = ranked[0];
  return distance <= 2 && distance < bare.length ? ` Did you mean --${flag}?` : '';
}

/** Levenshtein's distance. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}
