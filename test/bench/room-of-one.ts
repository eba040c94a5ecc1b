import { openCompute } from '../../client/engine/open-compute.ts';
import { browserClock } from '../../client/link/clock.ts';
import { HttpOrigin } from '../../client/link/origin.ts';
import type { Cancel, Clock } from '../../client/ports/clock.ts';
import type { BlockSpec, Compute, ForwardTask, LayerState } from '../../client/ports/compute.ts';
import type { Transport } from '../../client/ports/transport.ts';
import { Swarm } from '../../client/swarm/swarm.ts';
import type { RunConfig } from '../../shared/schema/config.ts';

const NO_STATS = { bytesSent: 0, messagesSent: 0, bytesReceived: 0, messagesReceived: 0 };
const nobodyElse: Transport = {
  self: 'p000000001',
  listen: () => undefined,
  peers: () => [],
  send: () => false,
  whenWritable: () => Promise.resolve(false),
  stats: () => NO_STATS,
  close: () => undefined,
};

/** A clock that can be stopped: to its room a rest of minutes is no time at all, or it would take itself for stalled. */
class StopClock implements Clock {
  #restedMs = 0;
  #restsSinceMs: number | null = null;
  #due = new Set<() => void>();

  now(): number {
    return (this.#restsSinceMs ?? browserClock.now()) - this.#restedMs;
  }

  after(delayMs: number, action: () => void): Cancel {
    const act = () => {
      if (this.#restsSinceMs === null) action();
      else this.#due.add(act);
    };
    const cancel = browserClock.after(delayMs, act);
    return () => {
      cancel();
      this.#due.delete(act);
    };
  }

  stop(): void {
    this.#restsSinceMs ??= browserClock.now();
  }

  goOn(): void {
    if (this.#restsSinceMs !== null) this.#restedMs += browserClock.now() - this.#restsSinceMs;
    this.#restsSinceMs = null;
    const due = [...this.#due];
    this.#due.clear();
    for (const act of due) act();
  }
}

/** Where a room stands between two steps, until it is told to go on; its clock stands, too. */
class Gate {
  #open: () => void = () => undefined;
  #arrived: () => void = () => undefined;
  #arrival = new Promise<void>((resolve) => (this.#arrived = resolve));

  constructor(private readonly clock: StopClock) {}

  async pass(): Promise<void> {
    const opening = new Promise<void>((resolve) => (this.#open = resolve));
    this.clock.stop();
    this.#arrived();
    await opening;
  }

  whenArrived(): Promise<void> {
    return this.#arrival;
  }

  open(): void {
    this.#arrival = new Promise((resolve) => (this.#arrived = resolve));
    this.clock.goOn();
    this.#open();
  }
}

/** The same device, but the first forward of each step waits at the gate. `onLoad` is told of every block. */
function gated(inner: Compute, gate: Gate, onLoad: (block: BlockSpec) => void): Compute {
  const forward = async (task: ForwardTask) => {
    if (task.training && task.micro === 0 && task.segment === 0) await gate.pass();
    return inner.forward(task);
  };
  const load = (block: BlockSpec, state: LayerState[]) => {
    onLoad(block);
    return inner.load(block, state);
  };
  return new Proxy(inner, {
    get(target, name) {
      if (name === 'forward') return forward;
      if (name === 'load') return load;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/**
 * A room of one on this page, device in a worker and all: the very engine that people run, stopped before each step. Gives what trains
 * the next step, until the device has done all of it: an update is still under way when the room has finished its step.
 */
export async function roomOfOne(config: RunConfig): Promise<() => Promise<void>> {
  const compute = await openCompute({ emulatedMs: null, workerUrl: new URL('/worker.js', location.href) });
  if (compute.device.backend !== 'webgl') throw new Error(compute.device.note);
  const clock = new StopClock();
  const gate = new Gate(clock);
  let lastLayer = '';
  const onLoad = ({ segments }: BlockSpec) => {
    lastLayer = segments.flatMap(({ ops }) => ops).at(-1)!.layer;
  };
  const swarm = new Swarm({
    clock,
    transport: nobodyElse,
    compute: gated(compute, gate, onLoad),
    storage: { get: () => Promise.resolve(undefined), set: () => Promise.resolve() },
    origin: new HttpOrigin({ clock: browserClock }),
    me: { name: 'alone', device: { ...compute.device, browser: 'bench' } },
  });
  await swarm.start(config);
  await new Promise<void>((resolve, reject) => {
    void gate.whenArrived().then(resolve);
    swarm.onChange(() => {
      if (swarm.record.phase === 'failed') reject(new Error(swarm.record.message));
    });
  });
  return async () => {
    gate.open();
    await gate.whenArrived();
    await compute.read(lastLayer);
  };
}
