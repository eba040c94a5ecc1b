import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { BuildError } from '../../signaling/build.ts';
import { StartError } from '../../signaling/server.ts';
import { BrowserError } from './chromium.ts';
import { PeerPageError } from './peer-page.ts';
import { RigError } from './rig-error.ts';
import { SwarmRig } from './rig.ts';
import { SWARM_HELP } from './swarm-help.ts';
import { parseSwarmOptions, type SwarmOptions } from './swarm-options.ts';
import { runSwarm } from './swarm-run.ts';
import { Terminal } from './terminal.ts';
import { TimeoutError, within } from './wait.ts';

/** Failures whose message is meant for people; anything else is a defect and keeps its stack. */
const EXPLAINED = [BrowserError, BuildError, PeerPageError, RigError, StartError, TimeoutError];

const ECHO_MS = 500;

async function main(options: SwarmOptions): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const rig = new SwarmRig({
    peers: options.peers,
    browser: options.browser,
    isolate: options.isolate,
    deviceMs: options.deviceMs,
    memoryBytes: options.memoryBytes,
    delays: options.delays,
    port: options.port,
    host: options.watch ? '0.0.0.0' : '127.0.0.1',
    onStage: (stage) => terminal.status(stage),
  });
  const interruption = closeOnSignal(rig, terminal);
  const { timeoutSeconds } = options;
  const deadline = Date.now() + timeoutSeconds * 1000;
  try {
    await within(rig.open(), timeoutSeconds * 1000, `The room was not open within ${timeoutSeconds} s.`);
    const whenReady = () => whenEnterIsPressed(terminal, interruption.signal);
    await runSwarm(options, { rig, terminal, whenReady, deadline });
    return 0;
  } catch (error) {
    if (interruption.signal.aborted) return interruption.signal.reason as number;
    terminal.clear();
    const isExplained = EXPLAINED.some((kind) => error instanceof kind);
    const hint = error instanceof TimeoutError ? ' More time: --timeout SECONDS.' : '';
    console.error(isExplained ? (error as Error).message + hint : error);
    return 1;
  } finally {
    await rig.close();
    interruption.forget();
  }
}

/** Ctrl+C closes everything in order; a second one does not wait. `signal` is aborted with the exit code. */
function closeOnSignal(rig: SwarmRig, terminal: Terminal): { signal: AbortSignal; forget: () => void } {
  const abort = new AbortController();
  let askedAt = 0;
  const close = (name: NodeJS.Signals) => {
    const code = 128 + constants.signals[name];
    if (abort.signal.aborted) {
      // npm and tsx pass a signal on that this process has from the terminal already.
      if (Date.now() - askedAt > ECHO_MS) process.exit(code);
      return;
    }
    askedAt = Date.now();
    terminal.clear();
    terminal.line('Stopping the browsers and the server.');
    abort.abort(code);
    void rig.close();
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) process.on(name, close);
  return {
    signal: abort.signal,
    forget: () => {
      for (const name of names) process.off(name, close);
    },
  };
}

/** Without somebody at a terminal there is nobody to wait for. */
async function whenEnterIsPressed(terminal: Terminal, interruption: AbortSignal): Promise<void> {
  if (!process.stdin.isTTY) return;
  terminal.line('When everybody is in, press Enter to start.');
  const lines = createInterface({ input: process.stdin, signal: interruption });
  await new Promise<void>((done) => {
    lines.once('line', () => done());
    lines.once('close', done);
  });
  lines.close();
}

const parsed = parseSwarmOptions(process.argv.slice(2));
if (!parsed.ok) {
  console.error(parsed.message);
  process.exitCode = 2;
} else if (parsed.options.help) {
  console.log(SWARM_HELP);
} else {
  process.exitCode = await main(parsed.options);
}
