import {
  FlagError,
  readChoice,
  readFlags,
  readWhole,
  type FlagSpec,
  type GivenFlags,
} from '../../shared/flags.ts';
import { checkBrowser, checkOutputFile } from '../../client/cli/paths.ts';
import { SCHEDULES, WIRES } from './ways.ts';

export const BENCH_NAMES = ['solo', 'duo', 'idle', 'wire', 'memory', 'page'] as const;
export type BenchName = (typeof BENCH_NAMES)[number];

export interface BenchOptions {
  /** In the order in which they run. */
  benches: readonly BenchName[];
  /** How often A and B take turns; null: what suits the sub-command. */
  rounds: number | null;
  /** Steps or seeds of one turn; null: what suits the sub-command. */
  steps: number | null;
  /** Models that count: all where null. */
  models: readonly string[] | null;
  schedules: readonly string[];
  /** Null: what suits the sub-command. */
  wires: readonly string[] | null;
  json: string | null;
  html: string | null;
  browser: string | null;
  help: boolean;
}

const FLAGS = {
  rounds: { example: '--rounds 5' },
  steps: { example: '--steps 50' },
  models: { example: '--models mlp,cnn' },
  schedule: { example: '--schedule sync,async' },
  wire: { example: '--wire float32,int8' },
  json: { example: '--json bench.json' },
  html: { example: '--html bench.html' },
  browser: { example: '--browser /usr/bin/chromium' },
  help: { example: '--help', isSwitch: true, short: 'h' },
} satisfies Record<string, FlagSpec>;
type Flag = keyof typeof FLAGS;

const MODELS = ['mlp', 'cnn', 'mlp-small', 'cnn-small'] as const;

export const BENCH_HELP = `Measures how far each part is from its limit; each comparison takes turns within one run.

  npm run bench -- <sub-command> [flags]

  solo      one device alone against plain tfjs, same page, model, batch and back-end
  duo       two browsers, each on a processor of its own, against the best of one
  idle      the share of time that stages of emulated devices do nothing, against theory
  wire      goodput of parts, what a hop costs, bytes and accuracy by wire format
  memory    bytes of activations kept against theory, and over many steps
  page      long tasks of the page's thread while training
  all       all of them, one after the other

  --rounds N        how often the two sides of a comparison take turns
  --steps N         optimizer steps of one turn
  --models LIST     of ${MODELS.join(', ')}: for solo and duo (all that the sub-command has)
  --schedule LIST   of ${SCHEDULES.join(', ')}: for idle (all)
  --wire LIST       of ${WIRES.join(', ')}: for duo and wire (duo: ${WIRES[0]}; wire: all)
  --json FILE       writes every figure
  --html FILE       writes one page with tables and plots
  --browser PATH    the Chromium or Chrome to use (the one that is installed)
  --help, -h        show this

test/bench/README.md says how to read the figures. On a machine with other work they are of no use.
`;

/** Reads the command line. Throws a FlagError whose message is one line for people. */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const words = args.filter((arg) => arg !== '--');
  const [first = '', ...rest] = words;
  const isFlag = first.startsWith('-');
  const given = readFlags<Flag>(isFlag ? words : rest, FLAGS);
  const help = given.has('help');
  const benches = help ? [] : benchesOf(isFlag ? '' : first);
  const options = { benches, help, ...figuresOf(given) };
  if (!help) {
    if (options.json !== null) checkOutputFile('json', options.json);
    if (options.html !== null) checkOutputFile('html', options.html);
    if (options.browser !== null) checkBrowser(options.browser);
  }
  return options;
}

function benchesOf(word: string): readonly BenchName[] {
  if (word === 'all') return BENCH_NAMES;
  const found = BENCH_NAMES.find((name) => name === word);
  if (found) return [found];
  const names = [...BENCH_NAMES, 'all'].join(', ');
  throw new FlagError(
    word === '' ? `Say what to measure: ${names}.` : `There is no sub-command "${word}": choose ${names}.`,
  );
}

function figuresOf(given: GivenFlags<Flag>): Omit<BenchOptions, 'benches' | 'help'> {
  const textOf = (flag: Flag) => (given.get(flag) as string | undefined) ?? null;
  const whole = (flag: 'rounds' | 'steps', max: number) => {
    const text = textOf(flag);
    return text === null ? null : readWhole(flag, text, { min: 1, max }, FLAGS[flag].example);
  };
  const list = <T extends string>(flag: Flag, choices: readonly T[]): readonly T[] | null =>
    textOf(flag)
      ?.split(',')
      .map((item) => readChoice(flag, item.trim(), choices)) ?? null;
  return {
    rounds: whole('rounds', 1000),
    steps: whole('steps', 100_000),
    models: list('models', MODELS),
    schedules: list('schedule', SCHEDULES) ?? SCHEDULES,
    wires: list('wire', WIRES),
    json: textOf('json'),
    html: textOf('html'),
    browser: textOf('browser'),
  };
}
