import { cpus } from 'node:os';

interface Times {
  busyMs: number;
  allMs: number;
}

function timesNow(): Times {
  const times = cpus().map((cpu) => cpu.times);
  const allMs = times.reduce(
    (sum, { user, nice, sys, idle, irq }) => sum + user + nice + sys + idle + irq,
    0,
  );
  return { busyMs: allMs - times.reduce((sum, { idle }) => sum + idle, 0), allMs };
}

/** How many processors of this machine are busy in the mean, whoever uses them: emulated devices need some to be free. */
export class ProcessorWatch {
  readonly count = cpus().length;
  #since = timesNow();

  begin(): void {
    this.#since = timesNow();
  }

  busy(): number {
    const now = timesNow();
    const allMs = now.allMs - this.#since.allMs;
    return allMs > 0 ? (this.count * (now.busyMs - this.#since.busyMs)) / allMs : 0;
  }
}
