import * as v from 'valibot';
import type { PeerId } from '../../../shared/ids.ts';
import type { PeerReport, RunEvent } from '../../../shared/schema/control.ts';
import { ReportLinkSchema, ReportSchema, type Report } from '../../../shared/schema/report.ts';
import type { Plan } from '../../../shared/schema/plan.ts';
import { REPORT_VERSION } from '../../../shared/version.ts';
import { programOf } from '../../partition/exchange.ts';
import type { Partition } from '../../partition/partition.ts';
import { layersOf } from '../../partition/stages.ts';
import { boundaryBytes } from '../../partition/traffic.ts';
import { capsOfPlan, partitionOfPlan } from '../../pipeline/assignment.ts';
import { modelGraph } from '../../model/graph.ts';
import { byLayer, unitScores, type LayerScores } from '../conducting/importance.ts';
import type { LinkQuality } from '../membership/centrality.ts';
import type { RunRecord } from './record.ts';

/** The plan that a report is about: what trained last, or what there is where nothing did. */
const reportedPlan = ({ plan, trainedPlan }: RunRecord): Plan | null => trainedPlan ?? plan;

/** The report of a finished run, from what this peer recorded. Throws a message for people before the run is finished. */
export function makeReport(record: RunRecord, timelines: Report['timelines'] = []): Report {
  const { config, final } = record;
  const plan = reportedPlan(record);
  if (!config || !plan || !final) throw new Error('There is no report before a run is finished.');
  const coordinators = record.events.filter((event) => event.type === 'coordinator').map(readAppointment);
  const partition = partitionOfPlan(plan, config);
  const { graph } = partition;
  const samples = record.steps.length * config.batch;
  const report: Report = {
    version: REPORT_VERSION,
    seed: config.seed,
    config: {
      ...config,
      emulated: record.peers.some((peer) => peer.device.emulatedMs !== null),
    },
    peers: record.peers.map((peer) => describePeer(peer, partition, samples)),
    links: coordinators.at(-1)?.links ?? [],
    coordinator: coordinators,
    plan: {
      version: plan.version,
      stages: plan.stages.map((stage) => ({ ...stage, layers: layersOf(graph, stage) })),
      wire: plan.wire,
      caps: capsOfPlan(plan, partition, config).map(({ inFlight, kept }) => ({ in_flight: inFlight, kept })),
      boundaries: describeBoundaries(record, plan, final.stepsDone, partition),
      orders: plan.orders,
      standby: plan.standby,
      predicted: {
        step_ms: plan.predicted.stepMs,
        stage_ms: plan.predicted.stageMs,
        memory_bytes: plan.predicted.memoryBytes,
        why: plan.predicted.why,
      },
    },
    steps: record.steps,
    final: {
      test_accuracy: final.metrics.correct / final.metrics.samples,
      test_loss: final.metrics.lossSum / final.metrics.samples,
      test_samples: final.metrics.samples,
      stopped_early: final.stoppedEarly,
    },
    throughput: { samples_per_second: final.trainingMs > 0 ? (samples / final.trainingMs) * 1000 : 0 },
    micro_batches: {
      whole: sum(record.peers, (peer) => peer.ledger.whole),
      partial: sum(record.peers, (peer) => peer.ledger.partial),
      skipped: sum(record.peers, (peer) => peer.ledger.skipped),
    },
    staleness: {
      mean:
        sum(record.peers, (peer) => peer.staleness.sum) /
        Math.max(
          1,
          sum(record.peers, (peer) => peer.staleness.micros),
        ),
      max: Math.max(0, ...record.peers.map((peer) => peer.staleness.max)),
    },
    wire: {
      bytes_sent: sum(record.peers, (peer) => peer.wire.bytesSent),
      messages_sent: sum(record.peers, (peer) => peer.wire.messagesSent),
    },
    importance: importanceOf(record),
    timelines,
    events: record.events,
  };
  return v.parse(ReportSchema, report);
}

function describePeer(peer: PeerReport, partition: Partition, samples: number): Report['peers'][number] {
  const { device, memory } = peer;
  const { graph } = partition;
  // Backward takes twice the operations of forward: the gradient of the input and that of the weights.
  const operations = 3 * samples * sum(graph.nodes, (node) => node.operations) * shareOf(partition, peer.id);
  return {
    id: peer.id,
    name: peer.name,
    browser: device.browser,
    backend: `${device.backend} (${device.where})`,
    note: device.note,
    emulated_ms: device.emulatedMs,
    budget_bytes: device.memoryBytes,
    speed: peer.busyMs > 0 ? (operations / peer.busyMs) * 1000 : null,
    blocks: peer.blocks,
    memory_bytes: memory.peakBytes,
    memory: {
      tensors: memory.tensors,
      peak_bytes: memory.peakBytes,
      parameters_bytes: memory.accounted.parametersBytes,
      gradients_bytes: memory.accounted.gradientsBytes,
      optimizer_bytes: memory.accounted.optimizerBytes,
      activations_bytes: memory.accounted.activationsBytes,
    },
    busy_ms: peer.busyMs,
    refused: peer.refused,
  };
}

/** What peers measured by the end of the run; none before. */
export function importanceOf(record: RunRecord): LayerScores[] {
  const { config, peers } = record;
  const plan = reportedPlan(record);
  if (!config || !plan) return [];
  const graph = modelGraph(config.model);
  return byLayer(
    graph,
    unitScores(
      graph,
      plan,
      peers.flatMap((peer) => peer.importance),
    ),
  );
}

/** A block's share of the model's operations. */
function shareOf(partition: Partition, peer: PeerId): number {
  const stage = partition.stages.findIndex(({ lanes }) => lanes.includes(peer));
  if (stage < 0) return 0;
  const { segments } = programOf(partition, stage, partition.stages[stage].lanes.indexOf(peer));
  return sum(segments, (segment) => segment.share);
}

/** What crossed each boundary in the steps under that plan, and what the formula gives for it. */
function describeBoundaries(
  record: RunRecord,
  plan: Plan,
  stepsDone: number,
  partition: Partition,
): Report['plan']['boundaries'] {
  const { config } = record;
  const micros = Math.max(0, Math.min(plan.endStep, stepsDone) - plan.startStep) * config!.microBatches;
  const rows = config!.batch / config!.microBatches;
  const traffic = record.peers.flatMap((peer) => peer.traffic);
  return partition.boundaries.map(({ index, kind, isInner, isOneWay, from, tensor }) => {
    const bytes = micros * boundaryBytes(partition, index, rows, plan.wire);
    const own = traffic.filter(({ boundary }) => boundary === index);
    return {
      kind,
      inside_stage: isInner,
      after: from.tensor < 0 ? 'input' : partition.graph.nodes[from.tensor].layer,
      width: tensor.units * tensor.outer * tensor.inner,
      forward_bytes: sum(own, ({ forwardBytes }) => forwardBytes),
      backward_bytes: sum(own, ({ backwardBytes }) => backwardBytes),
      expected_bytes: bytes,
      expected_backward_bytes: isOneWay ? 0 : bytes,
      resent_bytes: sum(own, ({ resentBytes }) => resentBytes),
      forward_used: shareUsed(own, 'forward'),
      backward_used: shareUsed(own, 'backward'),
      forward_arrived: shareUsed(own, 'forward', 'sent'),
      backward_arrived: shareUsed(own, 'backward', 'sent'),
    };
  });
}

/** Of the frames of one direction, the share that was there in time; null where there should have been none. */
export function shareUsed(
  traffic: PeerReport['traffic'],
  way: 'forward' | 'backward',
  of: 'wanted' | 'sent' = 'wanted',
): number | null {
  const all = sum(traffic, (count) => count[way][of]);
  return all > 0 ? sum(traffic, (count) => count[way].used) / all : null;
}

const AppointmentSchema = v.object({
  term: v.number(),
  peer: v.string(),
  from_step: v.number(),
  centrality: v.number(),
  links: v.array(
    v.object({ a: v.string(), b: v.string(), rttMs: v.number(), loss: v.number(), goodput: v.number() }),
  ),
});

function readAppointment(event: RunEvent): Report['coordinator'][number] {
  const { links, ...appointment } = v.parse(AppointmentSchema, event);
  return { ...appointment, links: links.map(reportLink) };
}

const reportLink = ({ a, b, rttMs, loss, goodput }: LinkQuality): v.InferOutput<typeof ReportLinkSchema> => ({
  a,
  b,
  rtt_ms: rttMs,
  loss,
  goodput,
});

const sum = <T>(items: readonly T[], value: (item: T) => number): number =>
  items.reduce((total, item) => total + value(item), 0);
