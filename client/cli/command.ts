import { createInterface } from 'node:readline';
import type { Report } from '../../shared/schema/report.ts';
import { BuildError } from '../../signaling/build.ts';
import { StartError } from '../../signaling/server.ts';
import { Belongings } from './belongings.ts';
import { BrowserError } from './chromium.ts';
import { closeOnSignal } from './interruption.ts';
import { LabError } from './lab/lab-error.ts';
import { PeerPageError } from './peer-page.ts';
import { RigError } from './rig-error.ts';
import { SwarmRig, type RigOptions } from './rig.ts';
import type { SwarmOptions } from './swarm-options.ts';
import { runSwarm, type SwarmRunPorts } from './swarm-run.ts';
import { Terminal } from './terminal.ts';
import { TimeoutError, within } from './wait.ts';

/** Failures whose message is meant for people; anything else is a defect and keeps its stack. */
const EXPLAINED = [BrowserError, BuildError, LabError, PeerPageError, RigError, StartError, TimeoutError];

/** What a command adds to a plain run. */
export interface Setting {
  rig?: Partial<RigOptions>;
  /** Hears every look at the room. */
  onSnapshot?: (
    rig: SwarmRig,
    ...looked: Parameters<NonNullable<SwarmRunPorts['onSnapshot']>>
  ) => Promise<void>;
  /** Printed after the summary. */
  afterwards?: (report: Report) => string[];
}

/** One run with all that it needs, from nothing to nothing: also where it fails or is interrupted. Gives the exit code. */
export async function runCommand(
  options: SwarmOptions,
  prepare: (belongings: Belongings, terminal: Terminal) => Promise<Setting>,
): Promise<number> {
  const terminal = new Terminal(process.stdout);
  const belongings = new Belongings();
  const interruption = closeOnSignal(() => belongings.close(), terminal);
  const { timeoutSeconds } = options;
  const deadline = Date.now() + timeoutSeconds * 1000;
  try {
    const { rig: wanted, onSnapshot, afterwards } = await prepare(belongings, terminal);
    const opened = new SwarmRig({ ...rigOptions(options, terminal), ...wanted });
    const rig = await belongings.hold(Promise.resolve(opened), (held) => held.close());
    await within(rig.open(), timeoutSeconds * 1000, `The room was not open within ${timeoutSeconds} s.`);
    const whenReady = () => whenEnterIsPressed(terminal, interruption.signal);
    const report = await runSwarm(options, {
      rig,
      terminal,
      whenReady,
      deadline,
      onSnapshot: onSnapshot && ((snapshot) => onSnapshot(rig, snapshot)),
    });
    if (afterwards) terminal.lines(['', ...afterwards(report)]);
    return 0;
  } catch (error) {
    if (interruption.signal.aborted) return interruption.signal.reason as number;
    terminal.clear();
    const isExplained = EXPLAINED.some((kind) => error instanceof kind);
    const hint = error instanceof TimeoutError ? ' More time: --timeout SECONDS.' : '';
    console.error(isExplained ? (error as Error).message + hint : error);
    return 1;
  } finally {
    await belongings.close();
    interruption.forget();
  }
}

const rigOptions = (options: SwarmOptions, terminal: Terminal): RigOptions => ({
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
