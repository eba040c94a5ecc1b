import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import type { Report } from '../../shared/schema/report.ts';
import type { ServerStats } from '../../signaling/server.ts';
import { overviewOf, type LaneView, type StageView } from '../partition/overview.ts';
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
    about(device),
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

function about({ emulatedMs, memoryBytes, note }: PeerView['device']): string {
  return [
    emulatedMs === null ? note : `emulated: ${figure(emulatedMs)} ms per forward`,
    memoryBytes === null ? '' : `at most ${bytes(memoryBytes)} of tensors`,
  ]
    .filter((part) => part !== '')
    .join('; ');
}

/** Who holds what, where lanes exchange, and why. */
export function planText(plan: Plan, config: RunConfig, peers: readonly PeerView[]): string[] {
  const stages = overviewOf(config.model, plan.stages);
  const nameOf = namesOf(peers);
  const total = plan.predicted.stageMs.reduce((sum, ms) => sum + ms, 0);
  const hasLanes = stages.some(({ lanes }) => lanes.length > 1);
  const rows = stages.flatMap((stage, s) =>
    stage.lanes.map((lane, l) => [
      l === 0 ? String(s + 1) : '',
      nameOf(lane.peer) + (stage.lanes.length > 1 ? roleOf(lane) : ''),
      heldBy(stage, lane),
      grouped(lane.parameters),
      ...(hasLanes ? [percent(lane.share, 0)] : []),
      l === 0 ? percent(total > 0 ? plan.predicted.stageMs[s] / total : 0, 0) : '',
    ]),
  );
  const shares = hasLanes ? ['of the stage', 'of the step'] : ['predicted share'];
  const lines = table(
    ['stage', 'peer', hasLanes ? 'layers and units' : 'layers', 'parameters', ...shares],
    rows,
  );
  lines.push(...exchangesText(stages));
  if (plan.standby.length > 0) {
    const names = plan.standby.map(nameOf).sort(naturally);
    lines.push(`${listed(names)} ${names.length === 1 ? 'stands' : 'stand'} by without a block.`);
  }
  const emulated = isEmulated(peers) ? ` (${EMULATED})` : '';
  lines.push(
    `Predicted: ${figure(plan.predicted.stepMs)} ms per step${emulated}. ${plan.predicted.why}`.trim(),
  );
  return lines;
}

export const roleOf = ({ isOwner, isDeputy }: LaneView): string =>
  isDeputy ? ' (deputy)' : isOwner ? ' (owner)' : '';

/** More than that is told by how many there are. */
const LAYERS_SHOWN = 6;

export function heldBy({ lanes, layers }: StageView, { parts }: LaneView): string {
  if (lanes.length === 1) return spanned(layers);
  if (parts.length === 0) return 'nothing';
  if (parts.length > LAYERS_SHOWN) {
    const units = parts.reduce((sum, part) => sum + part.units, 0);
    const all = parts.reduce((sum, part) => sum + part.of, 0);
    return `${spanned(parts.map(({ layer }) => layer))}, ${grouped(units)} of ${grouped(all)} units`;
  }
  return parts.map(({ layer, units, of }) => `${layer} ${units}/${of}`).join('  ');
}

const spanned = (layers: readonly string[]): string =>
  layers.length > LAYERS_SHOWN
    ? `${layers[0]} to ${layers.at(-1)} (${layers.length} layers)`
    : layers.join(' ');

export function exchangesText(stages: readonly StageView[]): string[] {
  const inner = stages.flatMap((stage, s) => {
    const counts = new Map<string, number>();
    for (const { kind } of stage.inner) counts.set(kind, (counts.get(kind) ?? 0) + 1);
    const kinds = [...counts].map(([kind, times]) => (times === 1 ? kind : `${times} x ${kind}`));
    return kinds.length > 0 ? [`inside stage ${s + 1}: ${kinds.join(', ')}`] : [];
  });
  const lanes = stages.some((stage) => stage.lanes.length > 1);
  const between = stages.flatMap(({ after }, s) =>
    after && lanes ? [`${s + 1} to ${s + 2}: ${after.kind}`] : [],
  );
  const all = [...inner, ...(between.length > 0 ? [`stage ${between.join(', ')}`] : [])];
  return all.length > 0 ? [`Exchanges ${all.join('; ')}.`] : [];
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
  const { final, config, throughput, wire, steps, staleness, micro_batches: micro } = report;
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
          : '') +
        (staleness.max > 0
          ? `; weights ${figure(staleness.mean)} updates old in mean, ${staleness.max} at most`
          : ''),
    ],
    [
      'Peer to peer',
      `${bytes(wire.bytes_sent)} in ${grouped(wire.messages_sent)} messages; parts as ${report.plan.wire}`,
    ],
    [
      'By the server',
      `${grouped(relayed.after.signals)} signals, ${bytes(relayed.after.bytes)}, to link the peers; ` +
        `${during === 0 ? 'nothing' : bytes(during)} since Start; no tensor went through it`,
    ],
  ];
  if (config.rule) rows.push(['Parts in time', usedText(report.plan.boundaries)]);
  if (left.length > 0) rows.push(['Left on the way', listed(left)]);
  const width = Math.max(...rows.map(([head]) => head.length));
  return [...rows.map(([head, text]) => `${head.padEnd(width)}  ${text}`), '', ...heldText(report)];
}

/** Of the parts that others should have sent, what was used, by boundary. */
export function usedText(boundaries: Report['plan']['boundaries']): string {
  const shown = (share: number | null) => (share === null ? 'none due' : percent(share, 1));
  const each = boundaries.map(
    ({ after, kind, forward_used: there, backward_used: back }) =>
      `${kind} after ${after} ${shown(there)}, back ${shown(back)}`,
  );
  return each.length > 0 ? each.join('; ') : 'nothing went between peers';
}

function heldText({ peers, config }: Report): string[] {
  const rows = byName(peers).map((peer) => [
    peer.name,
    spanned(peer.blocks.flatMap(({ layers }) => layers)) || 'stood by',
    roughly(parametersOf(peer)),
    peer.budget_bytes === null
      ? bytes(peer.memory_bytes)
      : `${bytes(peer.memory_bytes)} of ${bytes(peer.budget_bytes)}`,
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
