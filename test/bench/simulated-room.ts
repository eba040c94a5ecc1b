import type { Look, LookOptions, TrainingRoom } from '../../client/cli/experiment/training-room.ts';
import { linkDelays, PEERS } from '../../client/cli/experiment/grid.ts';
import { TimeoutError } from '../../client/cli/wait.ts';
import { EmulatedCompute } from '../../client/engine/emulated.ts';
import type { Phase, PeerReport } from '../../shared/schema/control.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { LayerState } from '../../client/ports/compute.ts';
import type { Report } from '../../shared/schema/report.ts';
import { SimRoom } from '../simulation/sim-room.ts';
import type { mnist } from './mnist.ts';

/** Between two looks, and the longest that an answer may take. */
const LOOK_MS = 250;
const ANSWER_MS = 600_000;

/** A room of the volatility experiment on virtual time: the real engine, emulated devices and links, and no processor that decides. */
export function emulatedRoom(data: ReturnType<typeof mnist>, deviceMs: number): SimRoom {
  const room: SimRoom = new SimRoom(0, {
    data,
    wrap: (device) => {
      const clock = room.time.clockFor(
        () => true,
        () => 0,
      );
      return new EmulatedCompute(device, deviceMs, clock);
    },
    // What the simulated device itself takes must not count.
    speeds: Array<number>(PEERS).fill(1e6),
  });
  for (let i = 0; i < PEERS; i++) room.add();
  for (const { a, b, ms } of linkDelays())
    room.network.shape(room.peers[a - 1].id, room.peers[b - 1].id, { latencyMs: ms });
  return room;
}

/** Trains each run in a new room, so that what it gives depends on nothing but the run. */
export class SimulatedRoom implements TrainingRoom {
  #room: SimRoom;

  constructor(
    private readonly data: ReturnType<typeof mnist>,
    private readonly deviceMs: number,
  ) {
    this.#room = emulatedRoom(data, deviceMs);
  }

  nowMs(): number {
    return this.#room.time.nowMs;
  }

  async start(config: RunConfig): Promise<void> {
    this.#room.close();
    this.#room = emulatedRoom(this.data, this.deviceMs);
    await this.#room.settle();
    await this.#room.start(config);
  }

  async follow(isDone: (look: Look) => boolean, { timeoutMs, onSnapshot }: LookOptions): Promise<Look> {
    const endMs = this.nowMs() + timeoutMs;
    for (;;) {
      const look = await this.snapshot();
      await onSnapshot?.(look);
      if (isDone(look)) return look;
      if (this.nowMs() > endMs)
        throw new TimeoutError(`The run was not done in time. It is at "${look.run.phase}".`);
      await this.#room.run(() => false, LOOK_MS);
    }
  }

  async waitFor(phase: Phase, options: LookOptions): Promise<Look> {
    const look = await this.follow(({ run }) => run.phase === phase || run.phase === 'failed', options);
    if (look.run.phase !== phase) throw new Error(`The run failed: ${look.run.message}`);
    return look;
  }

  snapshot(): Promise<Look> {
    return Promise.resolve(this.#room.on[0].swarm.snapshot());
  }

  async weights(): Promise<LayerState[]> {
    const asked = Promise.all(this.#room.on.map(({ swarm }) => swarm.weights()));
    return (await this.#answered(asked)).flat();
  }

  traffic(): Promise<PeerReport['traffic']> {
    return Promise.resolve(this.#room.on.flatMap(({ swarm }) => swarm.traffic));
  }

  stop(): Promise<void> {
    this.#room.on[0].swarm.stop();
    return Promise.resolve();
  }

  report(): Promise<Report> {
    return this.#answered(this.#room.on[0].swarm.report());
  }

  close(): Promise<void> {
    this.#room.close();
    return Promise.resolve();
  }

  /** Lets the room's time go on until something is there. */
  async #answered<T>(asked: Promise<T>): Promise<T> {
    let isHere = false;
    const done = () => (isHere = true);
    void asked.then(done, done);
    await this.#room.run(() => isHere, ANSWER_MS);
    return asked;
  }
}
