import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { findOrInstallChromium } from '../client/cli/chromium.ts';

/**
 * Runs all tests, or the kinds named on the command line (`check`, `unit`, `browser`, `rooms`), and adds up their counts. The last
 * line is `N passed, N failed`.
 */

interface Counts {
  passed: number;
  failed: number;
}

interface Kind {
  title: string;
  command: () => string[];
  read: (output: string) => Counts | null;
  env?: () => Promise<Record<string, string>>;
}

const testFiles = (folder: string, ending: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => join(folder, file))
    .sort();

const nodeTests = (folder: string, ending: string, ...flags: string[]): string[] => [
  process.execPath,
  '--import',
  'tsx',
  '--test',
  '--test-reporter=spec',
  ...flags,
  ...testFiles(folder, ending),
];

const lastNumber = (output: string, pattern: RegExp): number | null => {
  const found = [...output.matchAll(pattern)].at(-1);
  return found ? Number(found[1]) : null;
};

function readNodeTests(output: string): Counts | null {
  const [passed, failed, cancelled] = ['pass', 'fail', 'cancelled'].map((word) =>
    lastNumber(output, new RegExp(`^\\S+ ${word} (\\d+)$`, 'gm')),
  );
  return passed === null || failed === null ? null : { passed, failed: failed + (cancelled ?? 0) };
}

function readBrowserTests(output: string): Counts | null {
  const passed = lastNumber(output, /^(\d+) passed, \d+ failed/gm);
  const failed = lastNumber(output, /^\d+ passed, (\d+) failed/gm);
  return passed === null || failed === null ? null : { passed, failed };
}

const withChromium = async () => ({ CHROME_PATH: await findOrInstallChromium() });

const KINDS: Record<string, Kind> = {
  check: {
    title: 'Types, lint, format',
    command: () => ['npm', 'run', '--silent', 'check'],
    read: () => ({ passed: 1, failed: 0 }),
  },
  unit: {
    title: 'Logic, gradients, simulated rooms (Node)',
    command: () => nodeTests('test', '.test.ts', '--test-concurrency=2'),
    read: readNodeTests,
  },
  browser: {
    title: 'Browser parts (real Chromium)',
    command: () => [join('node_modules', '.bin', 'wtr'), '--config', 'test/browser/wtr.config.mjs'],
    read: readBrowserTests,
    env: withChromium,
  },
  rooms: {
    title: 'Whole rooms (real Chromium, real WebRTC, real MNIST)',
    command: () => nodeTests('test/rooms', '.rooms.ts', '--test-concurrency=1'),
    read: readNodeTests,
    env: withChromium,
  },
};

/** A kind that ends badly without counts has failed once. */
async function run(kind: Kind): Promise<Counts> {
  console.log(`\n== ${kind.title}`);
  const env = { ...process.env, ...(await kind.env?.()) };
  const [program, ...args] = kind.command();
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    process.stdout.write(text);
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const counts = kind.read(output);
  if (code === 0 && counts) return counts;
  return { passed: counts?.passed ?? 0, failed: Math.max(counts?.failed ?? 0, 1) };
}

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !(name in KINDS));
if (unknown) {
  console.error(`There are no tests of the kind "${unknown}". There are: ${Object.keys(KINDS).join(', ')}.`);
  process.exit(2);
}
const total: Counts = { passed: 0, failed: 0 };
for (const name of wanted.length > 0 ? wanted : Object.keys(KINDS)) {
  const { passed, failed } = await run(KINDS[name]);
  total.passed += passed;
  total.failed += failed;
}
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
