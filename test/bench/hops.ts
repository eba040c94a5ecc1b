import { runConfig } from '../../client/defaults.ts';
import { SwarmRig } from '../../client/cli/rig.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { programOf } from '../../client/partition/exchange.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { ReportSpan } from '../../shared/schema/timeline.ts';
import { pageDir } from './pages.ts';

export interface Hops {
  /** Milliseconds from a part's last frame to the next part being queued, but for the emulated device's time; at an idle block. */
  overheadMs: number[];
  /** Of that, outside the call to the device: until the pass begins, and cutting and queueing what leaves. */
  outsideMs: number[];
}

const STAGES = 3;
/** Of the whole model: far more than what the pages really need for it, all at once. */
const DEVICE_MS = 180;
const TIMEOUT_MS = 300_000;

/** What the engine adds to a hop: the middle one of three stages with emulated devices, in real browsers. */
export async function measureHops(steps: number, browser: string | null): Promise<Hops> {
  const config = runConfig({
    model: 'mlp:256-256-256',
    partition: 'vertical',
    grid: { stages: STAGES, lanes: 1 },
    batch: 64,
    microBatches: 2,
    steps,
    onDeparture: 'continue',
  });
  const deviceMs = Array<number>(STAGES).fill(DEVICE_MS);
  const rig = await SwarmRig.open({ peers: STAGES, deviceMs, browser, pageDir: await pageDir() });
  try {
    await rig.whenLinked();
    await rig.start(config);
    await rig.waitFor('finished', { timeoutMs: TIMEOUT_MS });
    return hopsOf(await rig.report());
  } finally {
    await rig.close();
  }
}

function hopsOf({ plan, timelines, config }: Report): Hops {
  const partition = partitionOf(modelGraph(config.model), plan.stages);
  const { segments } = programOf(partition, 1, 0);
  const passMs = DEVICE_MS * segments.reduce((sum, { share }) => sum + share, 0);
  const [middle] = plan.stages[1].lanes;
  const { spans } = timelines.find(({ peer }) => peer === middle)!;
  const hops: Hops = { overheadMs: [], outsideMs: [] };
  const isWork = ({ kind }: ReportSpan) => ['forward', 'backward', 'weights', 'step'].includes(kind);
  for (const came of spans) {
    // Shaders are compiled in the first step.
    if (came.kind !== 'receive' || came.step === 0) continue;
    const { way, step, micro } = came;
    const same = (span: ReportSpan) => span.step === step && span.micro === micro;
    const pass = spans.find((span) => span.kind === way && same(span));
    const left = spans.find((span) => span.kind === 'send' && span.way === way && same(span));
    const isIdle = !spans.some(
      (span) => isWork(span) && span.start_ms < came.end_ms && span.end_ms > came.end_ms,
    );
    // A part that came while the block was busy, or that had to wait for its turn, waited for work, not for the engine.
    const waited = spans.some(
      (span) =>
        isWork(span) && span !== pass && pass && span.start_ms >= came.end_ms && span.end_ms <= pass.start_ms,
    );
    if (!pass || !left || !isIdle || waited) continue;
    hops.overheadMs.push(left.end_ms - came.end_ms - passMs);
    hops.outsideMs.push(pass.start_ms - came.end_ms + left.end_ms - left.start_ms);
  }
  return hops;
}
