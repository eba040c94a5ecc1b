import { runConfig } from '../../client/defaults.ts';
import { percent } from '../../client/cli/progress.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import type { Report } from '../../shared/schema/report.ts';
import { accuracyAtEqualSteps } from './accuracy.ts';
import { idleShare, THEORY, type IdleShare } from './idle-share.ts';
import { simulatedPipeline } from './idle-simulated.ts';
import type { Bench } from './main.ts';
import { pageDir } from './pages.ts';
import { median, shown, summaryOf, type Bar, type Goal, type Section } from './result.ts';
import { withWay } from './ways.ts';

const PASS_MS = 50;
const LATENCY_MS = 10;
const TIMEOUT_MS = 900_000;
/** The first step waits for the last blocks to be ready. */
const FIRST_STEP = 1;
const REAL = { stages: 4, microBatches: 16 };
/** Without a flush a pipeline fills and empties once a run, and what the start costs blocks that are not warm yet spreads into the next steps. */
const REAL_STEPS = 24;
const WANTED: Readonly<Record<string, number>> = { sync: 8, async: 3 };
const STAGES = [2, 3, 4, 5, 6, 7, 8];
const MICRO_BATCHES = [4, 8, 16, 32];
/** Points by which a cell may be off its formula. */
const NEAR = 4;

const TABLE_STEPS = 6;

/** From the idle share with as many micro-batches in flight as the plan allows to that with as many as stages, if that is more. */
interface Theory {
  least: number;
  most: number;
}

/** `steps` without a flush are one long step. */
function theoryOf(
  { isSplit, inFlight }: IdleShare,
  schedule: string,
  stages: number,
  micros: number,
  steps: number,
): Theory {
  const flushed = schedule === 'async' ? steps * micros : micros;
  if (!isSplit) {
    const share = THEORY.oneForwardOneBackward(stages, flushed);
    return { least: share, most: share };
  }
  const wayPasses = LATENCY_MS / PASS_MS;
  return {
    least: THEORY.splitBackward(stages, flushed, inFlight, wayPasses),
    most: THEORY.splitBackward(stages, flushed, stages, wayPasses),
  };
}

/** Of steps from the second on. */
const played = (steps: number): number => steps - FIRST_STEP;

/** How much of the time stages of equal emulated devices do nothing, against what theory says of the schedule. */
export const idle: Bench = async (options, terminal) => {
  const { rounds, schedules, browser } = options;
  const count = options.steps ?? REAL_STEPS;
  const goals: Goal[] = [];
  const { stages, microBatches } = REAL;
  const shares = schedules.map((): IdleShare[] => []);
  const simulated = await Promise.all(
    schedules.map((schedule) => shareOfSimulated(stages, microBatches, schedule, count)),
  );
  for (let round = 0; round < (rounds ?? 2); round++) {
    for (const [i, schedule] of schedules.entries()) {
      terminal.status(`idle: real browsers, ${schedule}, round ${round + 1}`);
      const report = await realPipeline(schedule, count, browser);
      shares[i].push(idleShare(report, FIRST_STEP, count - 1));
    }
  }
  const bars: Bar[] = [];
  const rows = schedules.map((schedule, i) => {
    const points = summaryOf(shares[i].map((share) => 100 * share.idle));
    const { least, most } = theoryOf(shares[i][0], schedule, stages, microBatches, played(count));
    bars.push({ label: `${schedule}, real browsers`, ...points });
    bars.push({ label: `${schedule}, simulated`, ...summaryOf([100 * simulated[i].idle]) });
    if (schedule in WANTED) {
      const what = `S = ${stages}, m = ${microBatches}, ${schedule}: idle, real browsers`;
      goals.push({ what, value: points.median, bound: WANTED[schedule], kind: 'most', unit: '%' });
    }
    return [
      schedule,
      shares[i][0].isSplit ? 'split' : 'whole',
      shown(points, 1),
      percent(simulated[i].idle, 1),
      `${percent(least, 1)} to ${percent(most, 1)}`,
      median(shares[i].map(({ stepMs }) => stepMs)).toFixed(0),
    ];
  });
  const sections: Section[] = [
    {
      title: `${stages} stages, ${microBatches} micro-batches`,
      note: `Each pass takes ${PASS_MS} ms at each stage, each way ${LATENCY_MS} ms. Idle: the share of time in which a stage does not compute, averaged over stages, from the first work of step ${FIRST_STEP} to the last of the last of ${count} steps, filling and emptying included. Theory: waiting for the first gradient, ways included, filled with as many forward passes as the plan lets be in flight, or with no more than there are stages; without a flush all steps are one.`,
      heads: ['schedule', 'backward', 'idle %, real browsers', 'simulated', 'theory', 'ms a step'],
      rows,
      bars,
      unit: '% of the time idle',
    },
  ];
  for (const schedule of schedules) sections.push(await tableOf(schedule, terminal));
  if (schedules.length > 1) {
    const accuracy = await accuracyAtEqualSteps('schedule', schedules, terminal);
    sections.push(accuracy.section);
    goals.push(...accuracy.goals(0.5));
  }
  return {
    bench: 'idle',
    title: 'How much of the time stages of equal devices wait.',
    sections,
    goals,
  };
};

/** Browsers with emulated devices: twice as many layers of equal width as stages, so that all stages take as long as each other. */
async function realPipeline(schedule: string, steps: number, browser: string | null): Promise<Report> {
  const { stages, microBatches } = REAL;
  const delays = Array.from({ length: stages }, (_, b) =>
    Array.from({ length: b }, (__, a) => ({ a: a + 1, b: b + 1, ms: LATENCY_MS })),
  ).flat();
  const rig = await SwarmRig.open({
    peers: stages,
    deviceMs: Array<number>(stages).fill(PASS_MS * stages),
    delays,
    browser,
    pageDir: await pageDir(),
  });
  try {
    await rig.whenLinked();
    const config = runConfig({
      model: `mlp:${Array<number>(2 * stages)
        .fill(784)
        .join('-')}`,
      partition: 'vertical',
      grid: { stages, lanes: 1 },
      batch: 4 * microBatches,
      microBatches,
      steps,
      onDeparture: 'continue',
    });
    await rig.start(withWay(config, { schedule }));
    await rig.waitFor('finished', { timeoutMs: TIMEOUT_MS });
    return await rig.report();
  } finally {
    await rig.close();
  }
}

async function shareOfSimulated(
  stages: number,
  microBatches: number,
  schedule: string,
  steps: number,
): Promise<IdleShare> {
  const wish = { stages, microBatches, passMs: PASS_MS, latencyMs: LATENCY_MS, steps, schedule };
  return idleShare(await simulatedPipeline(wish), FIRST_STEP, steps - 1);
}

async function tableOf(schedule: string, terminal: { status(text: string): void }): Promise<Section> {
  const rows: string[][] = [];
  let beyond = 0;
  for (const stages of STAGES) {
    const cells: string[] = [];
    for (const micros of MICRO_BATCHES) {
      terminal.status(`idle: simulated, ${schedule}, S = ${stages}, m = ${micros}`);
      const share = await shareOfSimulated(stages, micros, schedule, TABLE_STEPS);
      const { least, most } = theoryOf(share, schedule, stages, micros, played(TABLE_STEPS));
      const points = 100 * (share.idle - Math.min(Math.max(share.idle, least), most));
      const isNear = Math.abs(points) <= NEAR;
      if (!isNear) beyond++;
      const off = `${points < 0 ? '-' : '+'}${Math.abs(points).toFixed(1)}`;
      cells.push(`${(100 * share.idle).toFixed(1)} (${off})${isNear ? '' : ' !'}`);
    }
    rows.push([String(stages), ...cells]);
  }
  return {
    title: `${schedule}: idle % for every number of stages and micro-batches`,
    note: `The same engine on virtual time, with the same passes and links. In brackets the points beyond theory, which is a range (see above); ${beyond} of ${STAGES.length * MICRO_BATCHES.length} are more than ${NEAR} off and marked.`,
    heads: ['S', ...MICRO_BATCHES.map((micros) => `m = ${micros}`)],
    rows,
    bars: [],
    unit: '',
  };
}
