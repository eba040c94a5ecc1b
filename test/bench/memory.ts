import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { RigError } from '../../client/cli/rig-error.ts';
import type { PeerPage } from '../../client/cli/peer-page.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { openBackend } from '../../client/engine/backend.ts';
import { registerWidth } from '../../client/engine/matrix.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import { isWork } from '../../client/pipeline/timeline.ts';
import type { Span } from '../../shared/schema/timeline.ts';
import { browserClock } from '../../client/link/clock.ts';
import { assignmentOf } from '../../client/pipeline/assignment.ts';
import type { BlockSpec } from '../../client/ports/compute.ts';
import { equalDevices } from './idle-simulated.ts';
import type { Bench } from './main.ts';
import { mnist } from './mnist.ts';
import { pageDir } from './pages.ts';
import { shown, summaryOf, type Bar, type Goal, type Section, type Summary } from './result.ts';
import { withWay } from './ways.ts';

const SIMULATED_STEPS = 3;
const MICRO_BATCHES = 8;
/** Equal passes fill the pipeline to what the schedule allows. */
const PASS_MS = 50;
const LATENCY_MS = 10;
const SHAPES = [
  { model: 'mlp:256-256-128-128', stages: [2, 3, 4] },
  { model: 'cnn:8-16-64', stages: [2, 3] },
];
/** Share by which the peak may be off theory, either way. */
const NEAR = 0.1;
const LOOKS = 30;
const FLAT_STEPS = 400;
const EARLY_STEP = 50;
const TIMEOUT_MS = 900_000;
const LIMIT_MS = 36_000_000;
const MEGABYTE = 1e6;

/** Bytes of activations that a stage keeps, against what its schedule must have in flight; and whether memory grows with the steps. */
export const memory: Bench = async ({ steps, schedules, browser }, terminal) => {
  const goals: Goal[] = [];
  const sections: Section[] = [];
  for (const schedule of schedules) {
    terminal.status(`memory: activations, ${schedule}`);
    const { section, worst } = await activations(schedule, terminal);
    sections.push(section);
    const what = `${schedule}: peak of activations at the worst stage, share off theory`;
    goals.push({ what, value: worst, bound: NEAR, kind: 'most', unit: '' });
  }
  const flat = await flatness(steps ?? FLAT_STEPS, browser, terminal);
  return {
    bench: 'memory',
    title: 'Activations kept against theory, and memory over many steps.',
    sections: [...sections, flat.section],
    goals: [...goals, ...flat.goals],
  };
};

/** Bytes of activations that one micro-batch takes of a block that has nothing else to do. */
interface One {
  /** While its forward runs. */
  peak: number;
  /** Between forward and input gradient. */
  inFlight: number;
  /** From there to its weight gradients. */
  pending: number;
}

interface Kept {
  one: One;
  /** Micro-batches that the plan lets the stage keep. */
  kept: number;
  /** Most of them that the stage's schedule had between forward and weight gradients at once, and what they take. */
  scheduled: { micros: number; bytes: number };
  peakBytes: number;
}

/** What each stage of a run kept, and what it keeps of one micro-batch; the stages in order. */
async function keptBytes(config: RunConfig): Promise<Kept[]> {
  const data = mnist();
  const room = equalDevices(config.grid!.stages, PASS_MS, LATENCY_MS, data);
  try {
    await room.settle();
    await room.start(config);
    await room.run(() => room.on[0].swarm.record.phase === 'evaluating', LIMIT_MS);
    const { plan, message } = room.on[0].swarm.record;
    if (!plan) throw new Error(message);
    const kept: Kept[] = [];
    for (const { lanes } of plan.stages) {
      const { device, id, swarm } = room.peers.find((peer) => peer.id === lanes[0])!;
      const { block, caps, segments } = assignmentOf(plan, config, data.task, id)!;
      const { activationsBytes } = (await device.memory()).accounted;
      const { defers } = segments[0];
      const one = await oneMicroBatch(block, defers);
      kept.push({
        one,
        kept: caps.kept,
        scheduled: scheduledBytes(swarm.spans(), defers, one),
        peakBytes: activationsBytes,
      });
    }
    return kept;
  } finally {
    room.close();
  }
}

/** What a stage that passes in that order holds at most. Emulated devices compute first and then wait, so a pass counts from its start. */
function scheduledBytes(
  spans: readonly Span[],
  defers: boolean,
  { peak, inFlight, pending }: One,
): Kept['scheduled'] {
  const most = { micros: 0, bytes: 0 };
  let before = 0;
  let after = 0;
  for (const { kind } of spans.filter(isWork)) {
    const heldBytes = before * inFlight + after * pending;
    if (kind === 'forward') {
      before++;
      most.bytes = Math.max(most.bytes, heldBytes + peak);
    } else if (kind === 'backward') {
      before--;
      if (defers) after++;
    } else if (kind === 'weights') after--;
    most.micros = Math.max(most.micros, before + after);
    most.bytes = Math.max(most.bytes, before * inFlight + after * pending);
  }
  return most;
}

/** What a block of one segment takes for one micro-batch. */
async function oneMicroBatch(block: BlockSpec, defer: boolean): Promise<One> {
  const { registers, segments, rows, input, head } = block;
  const compute = new TfCompute(await openBackend('cpu'), 'process', browserClock);
  await compute.load(block, []);
  const [{ input: first, output: last }] = segments;
  const numbers = rows * registerWidth(registers[first!]);
  const micro = { segment: 0, micro: 0, step: 0 };
  const { bytes: emptyBytes } = await compute.memory();
  await compute.forward({
    ...micro,
    rows,
    training: true,
    input: input.kind === 'samples' ? new Uint8Array(numbers) : new Float32Array(numbers),
    ...(head && { labels: new Uint8Array(rows) }),
  });
  const forward = await compute.memory();
  const gradient = last === null ? null : new Float32Array(rows * registerWidth(registers[last]));
  await compute.backward({ ...micro, defer, ...(gradient && { gradient }) });
  const backward = await compute.memory();
  compute.close();
  return {
    peak: forward.accounted.activationsBytes,
    inFlight: forward.bytes - emptyBytes,
    pending: defer ? backward.bytes - emptyBytes : 0,
  };
}

async function activations(
  schedule: string,
  terminal: { status(text: string): void },
): Promise<{ section: Section; worst: number }> {
  const rows: string[][] = [];
  const bars: Bar[] = [];
  let worst = 0;
  for (const { model, stages: counts } of SHAPES) {
    for (const stages of counts) {
      terminal.status(`memory: activations, ${schedule}, ${model}, ${stages} stages`);
      const choices = { model, partition: 'vertical', grid: { stages, lanes: 1 }, shares: 'even' } as const;
      const sizes = { batch: 16 * MICRO_BATCHES, microBatches: MICRO_BATCHES, steps: SIMULATED_STEPS };
      const config = withWay(runConfig({ ...choices, ...sizes, onDeparture: 'continue' }), { schedule });
      (await keptBytes(config)).forEach(({ one, kept, scheduled, peakBytes }, stage) => {
        const ratio = peakBytes / scheduled.bytes;
        worst = Math.max(worst, Math.abs(ratio - 1));
        const kB = (count: number) => (count / 1000).toFixed(1);
        rows.push([
          model,
          `${stage + 1} of ${stages}`,
          kB(one.inFlight),
          kB(one.pending),
          String(stages - stage),
          String(kept),
          String(scheduled.micros),
          kB(scheduled.bytes),
          kB(peakBytes),
          ratio.toFixed(2),
        ]);
        bars.push({ label: `${model}, stage ${stage + 1} of ${stages}`, ...summaryOf([ratio]) });
      });
    }
  }
  return {
    section: {
      title: `${schedule}: activations kept`,
      note: `${MICRO_BATCHES} micro-batches of 16. Theory: the passes of the stage in their order, a micro-batch counted from its forward to its input gradient with what one forward alone leaves, from there to its weight gradients with what one alone leaves after its input gradient. Most of them at once, beside what stage s of S (from 0) needs with links that take no time, S - s, and what the plan allows. The last column is the measured peak over theory.`,
      heads: [
        'model',
        'stage',
        'kB in flight',
        'kB pending',
        'S - s',
        'plan',
        'at once',
        'theory kB',
        'peak kB',
        'times theory',
      ],
      rows,
      bars,
      unit: 'peak of activations, times theory',
      mark: 1,
    },
    worst,
  };
}

interface Usage {
  tensors: Summary;
  bytes: Summary;
  heapBytes: number;
}

/** A step under way holds activations and sums, so one look says little: the range over some steps does. */
async function usageOf({ page }: PeerPage): Promise<Usage> {
  const looks = await page.evaluate(async (count) => {
    type Memory = { tensors: number; bytes: number };
    const { room } = (globalThis as unknown as { edgepipe: { room: { memory(): Promise<Memory> } } })
      .edgepipe;
    const seen: Memory[] = [];
    for (let i = 0; i < count; i++) {
      seen.push(await room.memory());
      await new Promise((resolve) => setTimeout(resolve, (7 * i) % 13));
    }
    return seen;
  }, LOOKS);
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  const { usedSize } = await session.send('Runtime.getHeapUsage');
  await session.detach();
  return {
    tensors: summaryOf(looks.map(({ tensors }) => tensors)),
    bytes: summaryOf(looks.map(({ bytes }) => bytes)),
    heapBytes: usedSize,
  };
}

async function flatness(
  steps: number,
  browser: string | null,
  terminal: { status(text: string): void },
): Promise<{ section: Section; goals: Goal[] }> {
  const rig = await SwarmRig.open({ peers: 2, browser, pageDir: await pageDir() });
  try {
    await rig.whenLinked();
    const sizes = { model: 'mlp:64-32-16', batch: 32, microBatches: 4, steps: 10 * steps };
    await rig.start(runConfig({ ...sizes, partition: 'vertical', onDeparture: 'continue' }));
    const at = async (step: number) => {
      const { run } = await rig.follow(
        (room) => {
          terminal.status(`memory: step ${room.run.stepsDone} of ${steps}`);
          return room.run.stepsDone >= step || room.run.phase === 'failed';
        },
        { timeoutMs: TIMEOUT_MS },
      );
      if (run.phase === 'failed') throw new RigError(`The room failed: ${run.message}`);
      const usages = await Promise.all(rig.peers.map(usageOf));
      return { step: run.stepsDone, usages };
    };
    const marks = [EARLY_STEP, ...[0.25, 0.5, 0.75, 1].map((share) => Math.round(steps * share))];
    const seen = [];
    for (const step of marks.filter((mark) => mark >= EARLY_STEP)) seen.push(await at(step));
    const rows = seen.flatMap(({ step, usages }) =>
      usages.map(({ tensors, bytes, heapBytes }, i) => [
        rig.peers[i].name,
        String(step),
        shown(tensors, 0),
        shown(
          { ...bytes, median: bytes.median / 1000, least: bytes.least / 1000, most: bytes.most / 1000 },
          0,
        ),
        (heapBytes / MEGABYTE).toFixed(1),
      ]),
    );
    const first = seen[0].usages;
    const last = seen.at(-1)!.usages;
    // One kept by each step would put the least at the end far above what was the most at the beginning.
    const grown = (key: 'tensors' | 'bytes') =>
      Math.max(...last.map((usage, i) => usage[key].least / first[i][key].most));
    const what = (thing: string) => `${thing} after ${steps} steps: least over the most after ${EARLY_STEP}`;
    return {
      section: {
        title: `Over ${steps} steps`,
        note: `Two browsers, two stages. Tensors and their kB in ${LOOKS} looks at each mark: the median, least and most; the page’s heap after collecting garbage holds the record of the steps, too.`,
        heads: ['peer', 'step', 'tensors', 'kB of tensors', 'MB of heap'],
        rows,
        bars: [],
        unit: '',
      },
      goals: (['tensors', 'bytes'] as const).map((key) => ({
        what: what(key),
        value: grown(key),
        bound: 1,
        kind: 'most',
        unit: '',
      })),
    };
  } finally {
    await rig.close();
  }
}
