import { runConfig } from '../../../client/defaults.ts';
import type { RoomLike } from '../../../client/app/room-controller.ts';
import { oneLaneStage } from '../../../client/partition/stages.ts';
import type { LayerState } from '../../../client/ports/compute.ts';
import type { RosterEntry } from '../../../client/link/mesh.ts';
import type { RoomSnapshot } from '../../../client/room.ts';
import type { RunRecord } from '../../../client/swarm/record/record.ts';
import type { PeerView, RunView } from '../../../client/swarm/record/snapshot.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import type { Phase } from '../../../shared/schema/control.ts';
import type { Plan } from '../../../shared/schema/plan.ts';

const ANNA = 'paaaaaaaaa';
const BEN = 'pbbbbbbbbb';
const CLEO = 'pccccccccc';

const steps: RunRecord['steps'] = Array.from({ length: 40 }, (_, step) => ({
  step,
  loss: 2.3 / (1 + step / 4),
  accuracy: 0.1 + 0.8 * (step / 40),
  t_ms: step * 200,
}));

export const plan: Plan = {
  term: { counter: 1, peer: BEN },
  version: 1,
  run: 1,
  startStep: 0,
  endStep: 600,
  stages: [oneLaneStage([0, 3], ANNA), oneLaneStage([3, 11], BEN)],
  wire: 'float32',
  orders: [],
  sources: [],
  standby: [CLEO],
  dataHomes: [ANNA, BEN],
  predicted: {
    stepMs: 204.05,
    stageMs: [33, 37],
    memoryBytes: [[4.1e6], [1.2e6]],
    why: 'Two stages of one lane beat the rest by 12%.',
  },
};

/** A room with three peers, of which the third stands by; what a test wants otherwise it says. */
export class FakeRoom implements RoomLike {
  readonly code = 'ACDEFG';
  readonly calls: string[] = [];
  readonly started: RunConfig[] = [];
  readonly brought: (readonly LayerState[])[] = [];
  /** Why `start` rejects, where it does. */
  refuses = '';
  state: RoomSnapshot;
  readonly #listeners = new Set<() => void>();

  constructor(phase: Phase = 'idle', changes: Partial<RoomSnapshot> = {}) {
    this.state = { ...room(runIn(phase)), ...changes };
  }

  /** A new state, as the engine announces one. */
  become(state: Partial<RoomSnapshot>): void {
    this.state = { ...this.state, ...state };
    for (const listener of this.#listeners) listener();
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  snapshot = () => this.state;
  steps = () => steps.slice(0, this.state.run.stepsDone);
  goOn = () => void this.calls.push('goOn');
  replan = () => {
    if (this.refuses) throw new Error(this.refuses);
    this.calls.push('replan');
  };
  stop = () => void this.calls.push('stop');
  leave = () => void this.calls.push('leave');
  report = () => Promise.reject(new Error('There is no report.'));
  saveModel = () => Promise.reject(new Error('Layer dense_1 is not here any more.'));

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(config: RunConfig, weights: readonly LayerState[] = []): Promise<void> {
    this.started.push(config);
    this.brought.push(weights);
    return this.refuses ? Promise.reject(new Error(this.refuses)) : Promise.resolve();
  }
}

export function member(id: string, name: string, changes: Partial<RosterEntry> = {}): RosterEntry {
  const stats = { bytesSent: 0, messagesSent: 0, bytesReceived: 0, messagesReceived: 0 };
  return { id, name, link: 'open', present: true, note: '', queuedBytes: 0, stats, ...changes };
}

export function runIn(phase: Phase): RunView {
  const begun = phase !== 'idle';
  const trained = !['idle', 'preparing'].includes(phase);
  const stepsDone = trained ? 40 : 0;
  return {
    phase,
    message: messages[phase] ?? '',
    share: phase === 'preparing' ? 0.45 : trained ? 0.4 : 0,
    config: begun ? runConfig({ steps: 100 }) : null,
    plan: begun ? plan : null,
    stepsDone,
    last: steps[stepsDone - 1] ?? null,
    samplesPerSecond: trained ? 640 : null,
    partsInTime: trained ? 1 : null,
    secondsLeft: phase === 'training' ? 75 : null,
    events: begun
      ? [
          { t_ms: 0, type: 'planned', message: 'First' },
          { t_ms: 65_000, type: 'x', message: 'Second' },
        ]
      : [],
    final:
      phase === 'finished'
        ? {
            metrics: { lossSum: 950, correct: 9712, samples: 10_000 },
            stepsDone: 40,
            trainingMs: 8000,
            stoppedEarly: false,
          }
        : null,
    importance: [],
  };
}

const messages: Partial<Record<Phase, string>> = {
  preparing: 'Loading data and blocks on 3 peers',
  paused: 'Ben left the room. Press Go on to train with the rest.',
  failed: 'The device of Ben ran out of memory.',
};

function room(run: RunView): RoomSnapshot {
  return {
    code: 'ACDEFG',
    device,
    self: ANNA,
    peers: [
      peer(ANNA, 'Anna', run.plan ? ['dense_1'] : []),
      { ...peer(BEN, 'Ben', run.plan ? ['dense_2', 'dense_3', 'dense_4'] : []), isCoordinator: true },
      {
        ...peer(CLEO, 'Cleo', []),
        device: {
          ...device,
          backend: 'cpu',
          note: 'It computes on the CPU.',
          grain: 4,
          onProcessor: false,
          emulatedMs: 200,
          memoryBytes: 64e6,
          browser: 'Safari 18 on iOS',
        },
      },
    ],
    links: [{ a: ANNA, b: BEN, rttMs: 4.25, loss: 0, goodput: 9e6 }],
    roster: [member(BEN, 'Ben'), member(CLEO, 'Cleo')],
    signaling: { state: 'joined', message: '' },
    term: { counter: 1, peer: BEN },
    settled: true,
    run,
    refused: { 'plan-malformed': 2 },
  };
}

const device = {
  backend: 'webgl',
  where: 'worker',
  note: '',
  grain: 4,
  onProcessor: false,
  emulatedMs: null,
  memoryBytes: null,
  browser: 'Chrome 156 on Linux',
} as const;

function peer(id: string, name: string, layers: string[]): PeerView {
  return { id, name, device, isSelf: id === ANNA, isCoordinator: false, layers };
}
