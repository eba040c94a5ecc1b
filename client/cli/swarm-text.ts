import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { ServerStats } from '../../signaling/server.ts';
import { modelShapes, parameterCount } from '../model/shapes.ts';
import type { RoomSnapshot } from '../room.ts';
import { centralities } from '../swarm/membership/centrality.ts';
import type { PeerView } from '../swarm/record/snapshot.ts';
import { bar, bytes, duration, figure, grouped, listed, percent, rate, roughly, table } from './progress.ts';

/** What the swarm command prints, as lines. Pure. */

const EMULATED = 'emulated devices';

/** Figures that were made with emulated devices say so. */
export const isEmulated = (peers: readonly PeerView[]): boolean =>
  peers.some(({ device }) => device.emulatedMs !== null);

/** Who is here, and who coordinates. */
export function peersText({ peers, links, term }: RoomSnapshot): string[] {
  const ordered = byName(peers);
  const rows = ordered.map(({ name, device }) => [
    name,
    device.browser,
    `${device.backend} (${device.where})`,
    device.emulatedMs === null ? device.note : `emulated: ${figure(device.emulatedMs)} ms per forward`,
  ]);
  const lines = table(['peer', 'browser', 'computes on', ''], rows);
  const coordinator = peers.find(({ id }) => id === term?.peer);
  if (coordinator) {
    const ids = peers.map(({ id }) => id);
    const centrality = centralities(ids, links).get(coordinator.id) ?? 0;
    const others = peers.length > 1 ? `, centrality ${figure(centrality)} per ms` : '';
    lines.push(`${coordinator.name} coordinates${others}.`);
  }
  return lines;
}

/** Who holds what. */
export function planText(plan: Plan, config: RunConfig, peers: readonly PeerView[]): string[] {
  const shapes = new Map(modelShapes(config.model).map((shape) => [shape.spec.name, shape]));
  const nameOf = namesOf(peers);
  const total = plan.predicted.stageMs.reduce((sum, ms) => sum + ms, 0);
  const rows = plan.stages.map(({ layers, lanes }, i) => {
    const parameters = layers.reduce((sum, layer) => sum + parameterCount(shapes.get(layer)!), 0);
    const share = total > 0 ? plan.predicted.stageMs[i] / total : 0;
    return [
      String(i + 1),
      listed(lanes.map(({ peer }) => nameOf(peer))),
      layers.join(' '),
      grouped(parameters),
      percent(share, 0),
    ];
  });
  const lines = table(['stage', 'peer', 'layers', 'parameters', 'predicted share'], rows);
  if (plan.standby.length > 0) {
    const names = plan.standby.map(nameOf).sort(naturally);
    lines.push(`${listed(names)} ${names.length === 1 ? 'stands' : 'stand'} by without a block.`);
  }
  const emulated = isEmulated(peers) ? ` (${EMULATED})` : '';
  lines.push(`Predicted: ${figure(plan.predicted.stepMs)} ms per step${emulated}.`);
  return lines;
}

/** What goes on at this moment, in one line. */
export function progressText({ run, peers }: RoomSnapshot): string {
  const { phase, config, last, stepsDone, samplesPerSecond, secondsLeft } = run;
  if (phase !== 'training' || !config || !last) {
    const share = run.share > 0 && run.share < 1 ? ` ${percent(run.share, 0)}` : '';
    return `${run.message === '' ? phase : run.message}${share}`;
  }
  const emulated = isEmulated(peers) ? ' (emulated)' : '';
  return [
    `${bar(run.share, 20)} step ${stepsDone}/${config.steps}`,
    `loss ${last.loss.toFixed(4)}`,
    `accuracy ${percent(last.accuracy, 1)}`,
    ...(samplesPerSecond === null ? [] : [`${rate(samplesPerSecond)}${emulated}`]),
    ...(secondsLeft === null ? [] : [`${duration(secondsLeft * 1000)} left`]),
  ].join('  ');
}

export interface Relayed {
  before: ServerStats['relayed'];
  after: ServerStats['relayed'];
}

/** What came of the run. */
export function summaryText(report: Report, relayed: Relayed, left: readonly string[]): string[] {
  const { final, config, throughput, wire, steps, micro_batches: micro } = report;
  const emulated = config.emulated ? ` (${EMULATED})` : '';
  const tookMs = steps.at(-1)?.t_ms ?? 0;
  const stopped = final.stopped_early ? ', stopped early' : '';
  const lost = micro.partial + micro.skipped;
  const during = relayed.after.bytes - relayed.before.bytes;
  const rows = [
    [
      'Test',
      `accuracy ${percent(final.test_accuracy)} of ${grouped(final.test_samples)} samples, loss ${figure(final.test_loss)}`,
    ],
    [
      'Training',
      `${grouped(steps.length)} steps of ${config.batch} samples in ${duration(tookMs)}${stopped}: ` +
        `${rate(throughput.samples_per_second)}${emulated}` +
        (lost > 0
          ? `; ${grouped(micro.partial)} micro-batches partial, ${grouped(micro.skipped)} skipped`
          : ''),
    ],
    ['Peer to peer', `${bytes(wire.bytes_sent)} in ${grouped(wire.messages_sent)} messages`],
    [
      'By the server',
      `${grouped(relayed.after.signals)} signals, ${bytes(relayed.after.bytes)}, to link the peers; ` +
        `${during === 0 ? 'nothing' : bytes(during)} since Start; no tensor went through it`,
    ],
  ];
  if (left.length > 0) rows.push(['Left on the way', listed(left)]);
  const width = Math.max(...rows.map(([head]) => head.length));
  return [...rows.map(([head, text]) => `${head.padEnd(width)}  ${text}`), '', ...heldText(report)];
}

function heldText({ peers, config }: Report): string[] {
  const rows = byName(peers).map((peer) => [
    peer.name,
    peer.blocks.flatMap(({ layers }) => layers).join(' ') || 'stood by',
    roughly(parametersOf(peer)),
    bytes(peer.memory_bytes),
    peer.speed === null ? '-' : `${roughly(peer.speed)}${config.emulated ? ' (emulated)' : ''}`,
  ]);
  return table(['peer', 'held', 'parameters', 'most memory', 'operations/s'], rows);
}

const parametersOf = ({ blocks }: Report['peers'][number]): number =>
  blocks
    .flatMap(({ parameters }) => parameters)
    .reduce((sum, { shape }) => sum + shape.reduce((product, extent) => product * extent, 1), 0);

function namesOf(peers: readonly PeerView[]): (id: string) => string {
  const names = new Map(peers.map(({ id, name }) => [id, name]));
  return (id) => names.get(id) ?? id;
}

const naturally = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true });
const byName = <T extends { name: string }>(peers: readonly T[]): T[] =>
  [...peers].sort((a, b) => naturally(a.name, b.name));
