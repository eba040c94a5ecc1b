import type { RunConfig } from '../../shared/schema/config.ts';
import { overviewOf } from '../partition/overview.ts';
import type { Option } from '../planner/choice.ts';
import type { Prediction } from '../planner/predict.ts';
import type { Device } from '../planner/profile.ts';
import { nameOf, whyLost } from '../planner/why.ts';
import { bytes, figure, grouped, listed, percent, rate, table } from './progress.ts';
import { exchangesText, heldBy, roleOf } from './swarm-text.ts';

/** A plan that was made offline. */
export interface Planned {
  config: RunConfig;
  devices: readonly Device[];
  chosen: Option;
  options: readonly Option[];
  prediction: Prediction;
  why: string;
}

/** Runners-up that are shown. */
const SHOWN = 6;

const samplesPerSecond = ({ batch }: RunConfig, stepMs: number): number => (1000 * batch) / stepMs;

/** What the plan command prints, as lines. */
export function plannedText({ config, devices, chosen, options, prediction, why }: Planned): string[] {
  const stages = overviewOf(config.model, chosen.stages);
  const budgets = new Map(devices.map(({ peer, memoryBytes }) => [peer, memoryBytes]));
  const rows = stages.flatMap((stage, s) =>
    stage.lanes.map((lane, l) => {
      const budget = budgets.get(lane.peer) ?? null;
      return [
        l === 0 ? String(s + 1) : '',
        lane.peer + (stage.lanes.length > 1 ? roleOf(lane) : ''),
        heldBy(stage, lane),
        grouped(lane.parameters),
        percent(lane.share, 0),
        l === 0 ? `${figure(prediction.stageMs[s])} ms` : '',
        bytes(prediction.memoryBytes[s][l]) + (budget === null ? '' : ` of ${bytes(budget)}`),
      ];
    }),
  );
  const heads = [
    'stage',
    'device',
    'layers and units',
    'parameters',
    'of the stage',
    'busy in a step',
    'memory',
  ];
  const { stepMs } = prediction;
  return [
    why,
    '',
    ...table(heads, rows),
    '',
    ...standbyText(chosen, devices),
    ...exchangesText(stages),
    ...boundariesText(chosen, prediction),
    `Predicted: ${figure(stepMs)} ms per step, ${rate(samplesPerSecond(config, stepMs))}.`,
    ...runnersUpText(options, chosen, config),
  ];
}

function standbyOf({ stages }: Option, devices: readonly Device[]): string[] {
  const busy = new Set(stages.flatMap(({ lanes }) => lanes));
  return devices.map(({ peer }) => peer).filter((peer) => !busy.has(peer));
}

/** Names that are written out. */
const NAMED = 8;

function standbyText(chosen: Option, devices: readonly Device[]): string[] {
  const idle = standbyOf(chosen, devices);
  if (idle.length === 0) return [];
  const shown = idle.length > NAMED ? `${idle.length} devices` : listed(idle);
  return [`${shown} ${idle.length === 1 ? 'stands' : 'stand'} by without a block.`];
}

/** What crosses each boundary in a step, there and back. */
function boundariesText({ partition }: Option, { boundaryBytes }: Prediction): string[] {
  if (boundaryBytes.length === 0) return [];
  const { boundaries, graph, segments } = partition;
  const rows = boundaries.map(({ index, kind, from, isInner, isOneWay }) => [
    isInner
      ? `in stage ${segments[index].stage + 1}`
      : `${segments[index].stage + 1} to ${segments[index].stage + 2}`,
    kind,
    from.tensor < 0 ? 'input' : graph.nodes[from.tensor].layer,
    bytes(boundaryBytes[index]),
    isOneWay ? 'forward: every lane makes the loss for itself' : 'forward, as many back',
  ]);
  return ['', ...table(['boundary', 'kind', 'output of', 'per micro-batch', 'which way'], rows), ''];
}

function runnersUpText(options: readonly Option[], chosen: Option, config: RunConfig): string[] {
  const others = options.filter((option) => option !== chosen).slice(0, SHOWN);
  if (others.length === 0) return [];
  const rows = others.map((option) => [
    nameOf(option),
    `${figure(option.stepMs)} ms`,
    rate(samplesPerSecond(config, option.stepMs)),
    whyLost(option, chosen),
  ]);
  return ['', ...table(['runner-up', 'step', 'samples', 'why not'], rows)];
}

/** The same for programs. */
export function plannedJson({ config, devices, chosen, options, prediction, why }: Planned): object {
  const summary = (option: Option) => ({
    kind: option.kind,
    lanes: option.stages.map(({ lanes }) => lanes.length),
    step_ms: option.stepMs,
    samples_per_second: samplesPerSecond(config, option.stepMs),
  });
  return {
    why,
    ...summary(chosen),
    stages: chosen.stages.map((stage, s) => ({
      ...stage,
      busy_ms: prediction.stageMs[s],
      memory_bytes: prediction.memoryBytes[s],
    })),
    standby: standbyOf(chosen, devices),
    boundaries: chosen.partition.boundaries.map(({ index, kind, isInner, isOneWay }) => ({
      kind,
      inner: isInner,
      one_way: isOneWay,
      bytes: prediction.boundaryBytes[index],
    })),
    runners_up: options
      .filter((option) => option !== chosen)
      .map((option) => ({ ...summary(option), why_not: whyLost(option, chosen) })),
  };
}
