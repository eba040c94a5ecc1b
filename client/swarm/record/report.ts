import * as v from 'valibot';
import type { PeerReport, RunEvent } from '../../../shared/schema/control.ts';
import { ReportLinkSchema, ReportSchema, type Report } from '../../../shared/schema/report.ts';
import { REPORT_VERSION } from '../../../shared/version.ts';
import { modelShapes, type LayerShape } from '../../model/shapes.ts';
import type { LinkQuality } from '../membership/centrality.ts';
import type { RunRecord } from './record.ts';

/** The report of a finished run, from what this peer recorded. Throws a message for people before the run is finished. */
export function makeReport(record: RunRecord): Report {
  const { config, plan, final } = record;
  if (!config || !plan || !final) throw new Error('There is no report before a run is finished.');
  const coordinators = record.events.filter((event) => event.type === 'coordinator').map(readAppointment);
  const shapes = new Map(modelShapes(config.model).map((shape) => [shape.spec.name, shape]));
  const samples = record.steps.length * config.batch;
  const report: Report = {
    version: REPORT_VERSION,
    seed: config.seed,
    config: {
      ...config,
      emulated: record.peers.some((peer) => peer.device.emulatedMs !== null),
      partition: 'vertical',
    },
    peers: record.peers.map((peer) => describePeer(peer, shapes, samples)),
    links: coordinators.at(-1)?.links ?? [],
    coordinator: coordinators,
    plan: {
      version: plan.version,
      stages: plan.stages,
      standby: plan.standby,
      predicted: { step_ms: plan.predicted.stepMs, stage_ms: plan.predicted.stageMs },
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
    wire: {
      bytes_sent: sum(record.peers, (peer) => peer.wire.bytesSent),
      messages_sent: sum(record.peers, (peer) => peer.wire.messagesSent),
    },
    events: record.events,
  };
  return v.parse(ReportSchema, report);
}

function describePeer(
  peer: PeerReport,
  shapes: ReadonlyMap<string, LayerShape>,
  samples: number,
): Report['peers'][number] {
  const { device, memory } = peer;
  const layers = peer.blocks.flatMap((block) => block.layers);
  // Backward takes twice the operations of forward: the gradient of the input and that of the weights.
  const operations = 3 * samples * sum(layers, (layer) => shapes.get(layer)?.operations ?? 0);
  return {
    id: peer.id,
    name: peer.name,
    browser: device.browser,
    backend: `${device.backend} (${device.where})`,
    note: device.note,
    emulated_ms: device.emulatedMs,
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
