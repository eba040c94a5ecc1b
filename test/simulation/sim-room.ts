import type { Task } from '../../client/data/tasks.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type { Compute } from '../../client/ports/compute.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { overlay } from '../../client/model/pieces.ts';
import type { LayerState, NamedArray } from '../../client/ports/compute.ts';
import type { Storage } from '../../client/ports/storage.ts';
import { Swarm } from '../../client/swarm/swarm.ts';
import { randomUniform } from '../../shared/counter-random.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { Activation } from '../../shared/model.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { SimDevice } from './device.ts';
import { SimNetwork } from './network.ts';
import { MemoryOrigin, TINY } from './tiny-task.ts';
import { VirtualTime } from './virtual-clock.ts';

export interface SimPeer {
  id: PeerId;
  swarm: Swarm;
  device: SimDevice;
  isOn: boolean;
  /** No timer fires before that. */
  wakesAtMs: number;
}

const memoryStorage = (): Storage => {
  const values = new Map<string, Uint8Array>();
  return {
    get: (key) => Promise.resolve(values.get(key)),
    set: (key, bytes) => Promise.resolve(void values.set(key, bytes)),
  };
};

/** A whole room in one process on virtual time: the production engine, simulated links and devices. */
export class SimRoom {
  readonly time = new VirtualTime();
  readonly network = new SimNetwork(this.time);
  readonly origin: MemoryOrigin;
  readonly peers: SimPeer[] = [];

  constructor(
    count: number,
    private readonly options: {
      speeds?: number[];
      /** How far devices' clocks are from the room's time. */
      skewsMs?: number[];
      wrap?: (device: SimDevice) => Compute;
      joinGapMs?: number;
      /** Another data set than the tiny one, and its files. */
      data?: { task: Task; origin: MemoryOrigin };
    } = {},
  ) {
    this.origin = options.data?.origin ?? new MemoryOrigin();
    for (let i = 0; i < count; i++) this.add();
  }

  /** One more peer joins; ids are p000000001, p000000002 and so on. */
  add(): SimPeer {
    const number = this.peers.length + 1;
    const id = `p${String(number).padStart(9, '0')}`;
    const peer = { id, isOn: true, wakesAtMs: 0 } as SimPeer;
    // Devices do not beat in step.
    const offsetMs = 40 * randomUniform(3, number) + (this.options.skewsMs?.[number - 1] ?? 0);
    const clock = this.time.clockFor(
      () => peer.isOn,
      () => peer.wakesAtMs,
    );
    peer.device = new SimDevice(clock, this.options.speeds?.[number - 1] ?? 1);
    const transport = this.network.join(id);
    const skewed: Clock = {
      now: () => clock.now() + offsetMs,
      after: (ms, action) => clock.after(ms, action),
    };
    peer.swarm = new Swarm({
      clock: skewed,
      transport,
      compute: this.options.wrap?.(peer.device) ?? peer.device,
      storage: memoryStorage(),
      origin: this.origin,
      me: { name: `peer ${number}`, device: { ...peer.device.device, browser: 'simulation' } },
      tasks: { mnist: this.options.data?.task ?? TINY, fashion: TINY },
    });
    this.peers.push(peer);
    return peer;
  }

  /** The device is starved or asleep: it sends nothing and no timer fires, for `ms`. Its messages wait. */
  freeze(number: number, ms: number): void {
    const peer = this.peers[number - 1];
    this.network.hold(peer.id, ms);
    peer.wakesAtMs = this.time.nowMs + ms;
  }

  kill(number: number): void {
    const peer = this.peers[number - 1];
    peer.isOn = false;
    this.network.kill(peer.id);
  }

  get on(): SimPeer[] {
    return this.peers.filter((peer) => peer.isOn);
  }

  run(done: () => boolean, limitMs = 60_000): Promise<boolean> {
    return this.time.runUntil(done, limitMs);
  }

  /** Runs until everybody agrees on a settled coordinator. */
  settle(): Promise<boolean> {
    return this.run(() => {
      const views = this.on.map((peer) => peer.swarm.snapshot());
      return views.every(
        (view) =>
          view.settled && view.peers.length === this.on.length && view.term?.peer === views[0].term?.peer,
      );
    });
  }

  /** Starts a run through the first peer and waits for an end: finished or failed. */
  async train(config: RunConfig, limitMs = 3_600_000, weights: LayerState[] = []): Promise<void> {
    await this.start(config, weights);
    await this.run(
      () => this.on.every((peer) => ['finished', 'failed'].includes(peer.swarm.record.phase)),
      limitMs,
    );
  }

  async start(config: RunConfig, weights: readonly LayerState[] = []): Promise<void> {
    let failure: unknown = null;
    let answered = false;
    this.on[0].swarm.start(config, weights).then(
      () => (answered = true),
      (error: unknown) => {
        failure = error;
        answered = true;
      },
    );
    await this.run(() => answered);
    if (failure) throw failure as Error;
  }

  /** The state of all layers as the peers hold it after a run. */
  async parameters(): Promise<Map<string, Float32Array>> {
    const pieces: NamedArray[] = [];
    for (const peer of this.on) {
      for (const layer of peer.swarm.snapshot().peers.find((view) => view.isSelf)!.layers) {
        const state = await peer.device.read(layer).catch(() => null);
        pieces.push(...(state?.parameters ?? []));
      }
    }
    return putTogether(this.on[0].swarm.record.config!, pieces);
  }

  close(): void {
    for (const peer of this.on) peer.swarm.close();
  }
}

/** Whole arrays from the pieces that peers hold; numbers that nobody has are NaN. */
export function putTogether(config: RunConfig, pieces: readonly NamedArray[]): Map<string, Float32Array> {
  const whole = new Map<string, Float32Array>();
  for (const { name, shape } of modelGraph(config.model).nodes.flatMap((node) => node.parameters)) {
    const size = shape.reduce((product, extent) => product * extent, 1);
    const target: NamedArray = { name, shape, data: new Float32Array(size).fill(NaN) };
    for (const piece of pieces) if (piece.name === name) overlay(shape, target, piece);
    whole.set(name, target.data);
  }
  return whole;
}

/** A small run on the tiny task. */
export function tinyConfig(
  changes: Partial<RunConfig> & { widths?: number[]; activation?: Activation } = {},
): RunConfig {
  const { widths = [16, 12, 8], activation = 'tanh', ...rest } = changes;
  const units = [...widths, TINY.classes];
  return {
    task: 'mnist',
    partition: 'vertical',
    grid: null,
    shares: 'measured',
    wire: 'float32',
    model: {
      name: 'tiny',
      inputShape: TINY.inputShape,
      layers: units.map((count, i) => ({
        kind: 'dense',
        name: `dense_${i + 1}`,
        units: count,
        activation: i === units.length - 1 ? 'linear' : activation,
        useBias: true,
      })),
      loss: 'softmaxCrossEntropy',
    },
    steps: 20,
    batch: 32,
    microBatches: 4,
    optimizer: { kind: 'sgd', learningRate: 0.1, decay: 'linear' },
    seed: 5,
    onDeparture: 'continue',
    ...rest,
  };
}
