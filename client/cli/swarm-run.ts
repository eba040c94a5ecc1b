import { writeFile } from 'node:fs/promises';
import * as v from 'valibot';
import { complaint } from '../../shared/schema/common.ts';
import { ReportSchema, type Report } from '../../shared/schema/report.ts';
import { renderUnicodeCompact } from 'uqr';
import type { RoomSnapshot } from '../room.ts';
import { LIMITS } from '../../shared/limits.ts';
import { writeModelFiles } from './model-files.ts';
import { duration, listed } from './progress.ts';
import { Replans } from './replans.ts';
import type { SwarmRig } from './rig.ts';
import { RigError } from './rig-error.ts';
import type { SwarmOptions } from './swarm-options.ts';
import { peersText, planText, progressText, summaryText } from './swarm-text.ts';
import type { Terminal } from './terminal.ts';
import { traceOf } from './trace.ts';

const LINK_MS = 120_000;
/** Longer than any single wait inside the engine may take. */
const STALL_MS = LIMITS.run.prepareTimeoutMs + LIMITS.run.profileTimeoutMs;

export interface SwarmRunPorts {
  rig: SwarmRig;
  terminal: Terminal;
  /** Resolves when the person at the terminal wants to start. */
  whenReady: () => Promise<void>;
  /** When all has to be done, on the clock of Date. */
  deadline: number;
  /** Hears every look at the room. */
  onSnapshot?: (snapshot: RoomSnapshot) => Promise<void>;
}

/** One run from an opened room to the files that were asked for; gives its report. Rejects with one line for people. */
export async function runSwarm(options: SwarmOptions, ports: SwarmRunPorts): Promise<Report> {
  const { config, report: reportFile, trace: traceFile, save, watch } = options;
  const { rig, terminal, whenReady } = ports;
  let { deadline } = ports;
  const linkMs = () => Math.max(0, Math.min(LINK_MS, deadline - Date.now()));
  terminal.status('The peers link up and measure their links');
  let room = await rig.whenLinked(linkMs());
  if (watch) {
    terminal.clear();
    terminal.lines(invitation(rig));
    const waitingSince = Date.now();
    await whenReady();
    // What people take to come in is not the run's fault.
    deadline += Date.now() - waitingSince;
    room = await rig.whenLinked(linkMs());
  }
  terminal.clear();
  terminal.lines(peersText(room));
  terminal.line();

  const before = rig.server.stats().relayed;
  await rig.start(config, options.weights);
  const narrator = new Narrator(terminal);
  const replans = new Replans(options.replan, () => rig.replan());
  const slowestMs = Math.max(0, ...(options.deviceMs ?? []));
  await rig.waitFor('finished', {
    timeoutMs: deadline - Date.now(),
    // Emulated devices may take that long for a step (backward takes twice the time of forward) or for being measured.
    stallMs: STALL_MS + 6 * slowestMs * config.microBatches,
    onSnapshot: async (snapshot) => {
      narrator.tell(snapshot);
      await replans.look(snapshot.run);
      await ports.onSnapshot?.(snapshot);
    },
  });
  terminal.clear();
  if (replans.due.length > 0) {
    terminal.line(`Not planned anew at step ${listed(replans.due.map(String))}: the run was over before.`);
  }
  const report = checked(await rig.report());
  terminal.line();
  terminal.lines(summaryText(report, { before, after: rig.server.stats().relayed }, narrator.left));
  if (reportFile !== null) {
    await writing(reportFile, () => writeFile(reportFile, `${JSON.stringify(report, null, 2)}\n`));
    terminal.line(`Report: ${reportFile}`);
  }
  if (traceFile !== null) {
    await writing(traceFile, () => writeFile(traceFile, `${JSON.stringify(traceOf(report))}\n`));
    terminal.line(`Trace: ${traceFile} (open it at https://ui.perfetto.dev)`);
  }
  if (save !== null) {
    const model = await rig.saveModel();
    await writing(save, () => writeModelFiles(save, model, config));
    terminal.line(`Model: ${save}/model.json`);
  }
  return report;
}

/** Tells what happens as it happens: every plan, every event once, and a line of progress. */
class Narrator {
  readonly left: string[] = [];
  readonly #told = new Set<string>();
  #plan = '';

  constructor(private readonly terminal: Terminal) {}

  tell(room: RoomSnapshot): void {
    const { run, peers } = room;
    for (const event of run.events) {
      // Another page may tell the same story from here on.
      const key = `${event.t_ms} ${event.type} ${event.message}`;
      if (this.#told.has(key)) continue;
      this.#told.add(key);
      if (event.type === 'peer-left') this.left.push(event.message.replace(/ (left|is gone).*$/, ''));
      // The plan is shown as a table, the result in the summary, a failure at the very end.
      if (['planned', 'evaluated', 'failed'].includes(event.type)) continue;
      if (event.type === 'coordinator' && event.t_ms === 0) continue;
      this.terminal.line(`[${duration(event.t_ms)}] ${event.message}`);
    }
    if (run.plan && run.config) {
      const plan = `${run.plan.term.counter} ${run.plan.term.peer} ${run.plan.version}`;
      if (plan !== this.#plan) {
        this.#plan = plan;
        this.terminal.lines([...planText(run.plan, run.config, peers), '']);
      }
    }
    this.terminal.status(progressText(room));
  }
}

function invitation(rig: SwarmRig): string[] {
  const [best, ...others] = rig.server.lanUrls;
  if (rig.server.lanUrls.length === 0) {
    return [
      `The room is open at ${rig.link()}`,
      'This machine is on no network, so no phone can reach it: join a Wi-Fi network and start again.',
    ];
  }
  return [
    `The room is open at ${rig.link(best)}`,
    ...(others.length > 0 ? [`If that fails, instead of ${best}: ${others.join(', ')}`] : []),
    '',
    renderUnicodeCompact(rig.link(best), { border: 2 }),
  ];
}

function checked(report: Report): Report {
  const result = v.safeParse(ReportSchema, report);
  if (result.success) return result.output;
  throw new RigError(
    `The peers gave a report that is not valid (${complaint(result.issues)}): nothing was saved.`,
  );
}

async function writing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RigError(`${path} could not be written: ${reason}`);
  }
}
