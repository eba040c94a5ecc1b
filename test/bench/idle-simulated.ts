import type { Task } from '../../client/data/tasks.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type { Compute } from '../../client/ports/compute.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Report } from '../../shared/schema/report.ts';
import { SimRoom, tinyConfig } from '../simulation/sim-room.ts';
import type { MemoryOrigin } from '../simulation/tiny-task.ts';
import { withWay } from './ways.ts';

/** What takes its time on a device of the table: passes of a micro-batch. */
const PASSES: readonly string[] = ['forward', 'backward', 'weights'];
const LIMIT_MS = 36_000_000;
/** Rows of a micro-batch: as few as there can be, since nothing is learned here. */
const ROWS = 2;

/** The same device, but every training pass takes `passMs` longer. */
function slowed(inner: Compute, clock: Clock, passMs: number): Compute {
  const passed = () => new Promise<void>((resolve) => void clock.after(passMs, resolve));
  return new Proxy(inner, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      const method = (value as (...args: unknown[]) => Promise<unknown>).bind(target);
      if (!PASSES.includes(String(name))) return method;
      return async (task: { training?: boolean }) => {
        const result = await method(task);
        if (task.training !== false) await passed();
        return result;
      };
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
