import type { Task } from '../../client/data/tasks.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type { Compute } from '../../client/ports/compute.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Report } from '../../shared/schema/report.ts';
import { SimRoom, tinyConfig } from '../simulation/sim-room.ts';
import type { MemoryOrigin } from '../simulation/tiny-task.ts';
import { withWay } from './ways.ts';

const LIMIT_MS = 36_000_000;
/** Rows of a micro-batch: as few as there can be, since nothing is learned here. */
const ROWS = 2;

/** The same device, but forward, input gradient and weight gradient of whatever it holds take `passMs` each. */
function slowed(inner: Compute, clock: Clock, passMs: number): Compute {
  const after = async <T>(passes: number, work: Promise<T>): Promise<T> => {
    const result = await work;
    await new Promise<void>((resolve) => void clock.after(passes * passMs, resolve));
    return result;
  };
  const slow: Partial<Compute> = {
    profile: (blocks) =>
      Promise.resolve(
        blocks.map(({ segments }) =>
          segments.some(({ ops }) => ops.length > 0)
            ? { forwardMs: passMs, backwardMs: 2 * passMs, weightsMs: passMs }
            : { forwardMs: 0, backwardMs: 0, weightsMs: 0 },
        ),
      ),
    forward: (task) => after(task.training ? 1 : 0, inner.forward(task)),
    backward: (task) => after(task.defer ? 1 : 2, inner.backward(task)),
    weights: (task) => after(task.micros.length, inner.weights(task)),
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name in slow) return slow[name as keyof Compute];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

export interface SimulatedPipeline {
  stages: number;
  microBatches: number;
  /** Of each pass at each stage. */
  passMs: number;
  /** One way. */
  latencyMs: number;
  steps: number;
  schedule: string;
}

/** A room of devices whose every training pass takes the same time, with equal links. */
export function equalDevices(
  count: number,
  passMs: number,
  latencyMs: number,
  data?: { task: Task; origin: MemoryOrigin },
): SimRoom {
  const room: SimRoom = new SimRoom(0, {
    wrap: (device) => {
      const clock = room.time.clockFor(
        () => true,
        () => 0,
      );
      return slowed(device, clock, passMs);
    },
    // What the simulated device itself takes must not count.
    speeds: Array<number>(count).fill(1e6),
    ...(data && { data }),
  });
  for (let i = 0; i < count; i++) room.add();
  for (const a of room.peers) {
    for (const b of room.peers) if (a.id < b.id) room.network.shape(a.id, b.id, { latencyMs });
  }
  return room;
}

/** The report of a pipeline of equal devices: the production engine on virtual time. */
export async function simulatedPipeline(wish: SimulatedPipeline): Promise<Report> {
  const { stages, microBatches, passMs, latencyMs, steps, schedule } = wish;
  const room = equalDevices(stages, passMs, latencyMs);
  try {
    await room.settle();
    await room.train(withWay(configOf(stages, microBatches, steps), { schedule }), LIMIT_MS);
    let answered = false;
    const pending = room.on[0].swarm.report().finally(() => (answered = true));
    await room.run(() => answered);
    return await pending;
  } finally {
    room.close();
  }
}

const configOf = (stages: number, microBatches: number, steps: number): RunConfig =>
  tinyConfig({
    widths: Array<number>(stages - 1).fill(12),
    grid: { stages, lanes: 1 },
    batch: ROWS * microBatches,
    microBatches,
    steps,
  });
