import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { BrowserError } from '../../client/cli/chromium.ts';
import { PeerPageError } from '../../client/cli/peer-page.ts';
import { duration, table } from '../../client/cli/progress.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import { Terminal } from '../../client/cli/terminal.ts';
import { TimeoutError } from '../../client/cli/wait.ts';
import { FlagError } from '../../shared/flags.ts';
import { StartError } from '../../signaling/server.ts';
import { BuildError } from '../../signaling/build.ts';
import { duo } from './duo.ts';
import { htmlPage } from './html.ts';
import { idle } from './idle.ts';
import { memory } from './memory.ts';
import { BENCH_HELP, parseBenchOptions, type BenchName, type BenchOptions } from './options.ts';
import { page } from './page.ts';
import { GOAL_HEADS, goalRow, type BenchResult, type Section } from './result.ts';
import { solo } from './solo.ts';
import { wire } from './wire.ts';

/** Hears what goes on: a status that is replaced, and lines that stay. */
export type Bench = (options: BenchOptions, terminal: Terminal) => Promise<BenchResult>;

const BENCHES: Readonly<Record<BenchName, Bench>> = { solo, duo, idle, wire, memory, page };
/** Failures whose message is meant for people; anything else is a defect and keeps its stack. */
const EXPLAINED = [BrowserError, BuildError, PeerPageError, RigError, StartError, TimeoutError];

const machine = () =>
  `${cpus()[0].model.trim()}, ${availableParallelism()} processors, Node ${process.versions.node}`;

function sectionText({ title, note, heads, rows }: Section): string[] {
  return ['', title, note, ...(rows.length > 0 ? ['', ...table(heads, rows)] : [])];
}

async function main(options: BenchOptions): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const startedAt = new Date();
  const results: BenchResult[] = [];
  for (const name of options.benches) {
    const began = performance.now();
    terminal.line(`${name}: begins`);
    const result = await BENCHES[name](options, terminal);
    results.push(result);
    terminal.clear();
    terminal.lines(['', `${name}: ${result.title}`, ...result.sections.flatMap(sectionText)]);
    if (result.goals.length > 0) terminal.lines(['', ...table(GOAL_HEADS, result.goals.map(goalRow))]);
    terminal.lines([`${name}: took ${duration(performance.now() - began)}`, '']);
  }
  const about = { startedAt: startedAt.toISOString(), machine: machine() };
  if (options.json !== null) {
    await writeFile(options.json, `${JSON.stringify({ ...about, results }, null, 2)}\n`);
    terminal.line(`Figures: ${options.json}`);
  }
  if (options.html !== null) {
    await writeFile(options.html, htmlPage(about, results));
    terminal.line(`Page: ${options.html}`);
  }
  return 0;
}

try {
  const options = parseBenchOptions(process.argv.slice(2));
  if (options.help) console.log(BENCH_HELP);
  else process.exitCode = await main(options);
} catch (error) {
  const isFlag = error instanceof FlagError;
  const isExplained = isFlag || EXPLAINED.some((kind) => error instanceof kind);
  console.error(isExplained ? (error as Error).message : error);
  if (isFlag) console.error('All flags: npm run bench -- --help');
  process.exitCode = isFlag ? 2 : 1;
}
