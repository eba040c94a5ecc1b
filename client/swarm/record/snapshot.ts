import type { PeerId } from '../../../shared/ids.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { ControlOf, Final, Phase, RunEvent } from '../../../shared/schema/control.ts';
import type { Plan, Term } from '../../../shared/schema/plan.ts';
import type { LinkQuality } from '../membership/centrality.ts';
import type { LayerScores } from '../conducting/importance.ts';
import type { RunRecord, StepRecord } from './record.ts';
import { importanceOf } from './report.ts';

/** What a peer says of itself when a link opens. */
export type Introduction = Pick<ControlOf<'hello'>, 'name' | 'device'>;

export interface PeerView extends Introduction {
  id: PeerId;
  isSelf: boolean;
  isCoordinator: boolean;
  /** Layers of its block; empty where it stands by or nothing runs. */
  layers: string[];
}

export interface RunView {
  phase: Phase;
  /** For people: what goes on, or why it does not. */
  message: string;
  /** Progress of the phase, 0..1. */
  share: number;
  config: RunConfig | null;
  plan: Plan | null;
  stepsDone: number;
  last: StepRecord | null;
  samplesPerSecond: number | null;
  /** Of the parts that this peer's block wanted lately, the share that was there in time, 0..1; null where it wanted none. */
  partsInTime: number | null;
  /** Estimated from the present rate; null while unknown. */
  secondsLeft: number | null;
  events: readonly RunEvent[];
  final: Final | null;
  /** How much the units of each layer matter, once a run is finished. */
  importance: LayerScores[];
}

/** The room as this peer sees it, at one moment. */
export interface SwarmSnapshot {
  self: PeerId;
  peers: PeerView[];
  links: LinkQuality[];
  term: Term | null;
  /** The same coordinator for a while, and every link measured: a good moment to start. */
  settled: boolean;
  run: RunView;
  refused: Record<string, number>;
}

export function viewRun(record: RunRecord, partsInTime: number | null): RunView {
  const samplesPerSecond = record.samplesPerSecond();
  const stepsDone = (record.lastStep?.step ?? -1) + 1;
  const samplesLeft = record.config ? (record.config.steps - stepsDone) * record.config.batch : 0;
  const training = record.phase === 'training' && samplesPerSecond;
  return {
    phase: record.phase,
    message: record.message,
    share: record.phase === 'training' && record.config ? stepsDone / record.config.steps : record.share,
    config: record.config,
    plan: record.plan,
    stepsDone,
    last: record.lastStep,
    samplesPerSecond,
    partsInTime,
    secondsLeft: training ? samplesLeft / samplesPerSecond : null,
    events: record.events,
    final: record.final,
    importance: record.final ? importanceOf(record) : [],
  };
}
