import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';

/** No browser could be found or started; the message says what to do. */
export class BrowserError extends Error {}

/** What looking for a browser needs of the machine. */
export interface Machine {
  platform: NodeJS.Platform;
  env: Readonly<Record<string, string | undefined>>;
  isRoot: boolean;
  isExecutable(path: string): boolean;
  exists(path: string): boolean;
  /** Runs a command with its output discarded; the exit code, or -1 where it could not start. */
  run(command: string, args: readonly string[]): Promise<number>;
  say(message: string): void;
}

const ENV_NAMES = ['CHROME_PATH', 'CHROMIUM_PATH', 'PUPPETEER_EXECUTABLE_PATH'] as const;
const COMMANDS = [
  'chromium',
  'chromium-browser',
  'google-chrome-stable',
  'google-chrome',
  'chrome',
  'microsoft-edge-stable',
  'microsoft-edge',
];
const PLACES: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  linux: [
    '/usr/bin/chromium',
    '/usr/bin/chromium-browser',
    '/usr/bin/google-chrome-stable',
    '/usr/bin/google-chrome',
    '/opt/google/chrome/chrome',
    '/snap/bin/chromium',
  ],
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  ],
};
const WINDOWS_PLACES = [
  'Google\\Chrome\\Application\\chrome.exe',
  'Chromium\\Application\\chrome.exe',
  'Microsoft\\Edge\\Application\\msedge.exe',
];

/** WebGL2 with float32 render targets where there is no GPU, and pages that run at full speed behind others. */
export const LAUNCH_FLAGS = [
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
] as const;

/** How a Chromium that acts as a peer is started. */
export function launchFlags(machine: Pick<Machine, 'env' | 'isRoot'> = thisMachine): string[] {
  return [...LAUNCH_FLAGS, ...(canSandbox(machine) ? [] : ['--no-sandbox'])];
}

/** Chromium's sandbox refuses to run as root, and most build machines lack what it needs. */
export const canSandbox = ({ env, isRoot }: Pick<Machine, 'env' | 'isRoot'> = thisMachine): boolean =>
  !isRoot && !env.CI;

/** The browser to use: the one that was asked for, or one that is installed; `null` where there is none. */
export function findChromium(explicit?: string, machine: Machine = thisMachine): string | null {
  if (explicit !== undefined) return demand('--browser', explicit, machine);
  for (const name of ENV_NAMES) {
    const path = machine.env[name];
    if (path) return demand(name, path, machine);
  }
  return candidates(machine).find((path) => machine.isExecutable(path)) ?? null;
}

/** As `findChromium`, but installs Chromium on Debian and Ubuntu where that is possible. Rejects with what to do. */
export async function findOrInstallChromium(
  explicit?: string,
  machine: Machine = thisMachine,
): Promise<string> {
  const found = findChromium(explicit, machine);
  if (found !== null) return found;
  const how = await howToInstall(machine);
  if (how !== null) {
    machine.say('No Chromium or Chrome was found: installing Chromium with apt-get (about a minute).');
    const [command, ...prefix] = [...how, 'apt-get', '-q', '-o', 'DPkg::Lock::Timeout=120'];
    await machine.run(command, [...prefix, 'update']);
    const code = await machine.run(command, [...prefix, 'install', '-y', 'chromium']);
    const installed = findChromium(undefined, machine);
    if (installed !== null) return installed;
    machine.say(`apt-get could not install Chromium (exit code ${code}).`);
  }
  throw new BrowserError(
    `There is no Chromium or Chrome on this machine. ${advice(machine)} ` +
      'If it is somewhere unusual, say where: --browser PATH, or set CHROME_PATH.',
  );
}

function demand(source: string, given: string, machine: Machine): string {
  const path = isAbsolute(given) ? given : resolve(given);
  if (machine.isExecutable(path)) return path;
  const what = machine.exists(path) ? 'is no program that can be started' : 'is not there';
  throw new BrowserError(
    `${source} names ${given} as the browser, but that ${what}. ` +
      `Give the path of a Chromium or Chrome, or leave ${source} out.`,
  );
}

function candidates({ platform, env }: Machine): string[] {
  if (platform === 'win32') {
    const roots = [env.PROGRAMFILES, env['PROGRAMFILES(X86)'], env.LOCALAPPDATA];
    return roots.flatMap((root) => (root ? WINDOWS_PLACES.map((place) => `${root}\\${place}`) : []));
  }
  const dirs = (env.PATH ?? '').split(':').filter((dir) => dir !== '');
  return [...COMMANDS.flatMap((name) => dirs.map((dir) => join(dir, name))), ...(PLACES[platform] ?? [])];
}

/** What goes before `apt-get`, or `null` where it is not for us to install anything. */
async function howToInstall(machine: Machine): Promise<string[] | null> {
  if (machine.platform !== 'linux' || !machine.exists('/usr/bin/apt-get')) return null;
  const quietly = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  if (machine.isRoot) return quietly;
  return (await machine.run('sudo', ['-n', 'true'])) === 0 ? ['sudo', '-n', ...quietly] : null;
}

function advice(machine: Machine): string {
  if (machine.platform !== 'linux') return 'Install Chrome from https://www.google.com/chrome.';
  if (machine.exists('/usr/bin/apt-get'))
    return 'Install it: sudo apt-get update && sudo apt-get install -y chromium.';
  return 'Install the package chromium with the package manager of this system.';
}

const thisMachine: Machine = {
  platform: process.platform,
  env: process.env,
  isRoot: process.getuid?.() === 0,
  exists: existsSync,
  isExecutable: (path) => {
    try {
      accessSync(path, constants.X_OK);
      return statSync(path).isFile();
    } catch {
      return false;
    }
  },
  run: (command, args) =>
    new Promise((done) => {
      const child = spawn(command, args, { stdio: 'ignore' });
      child.once('error', () => done(-1));
      child.once('exit', (code) => done(code ?? -1));
    }),
  say: (message) => void process.stderr.write(`${message}\n`),
};
