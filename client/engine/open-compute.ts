import type { Clock } from '../ports/clock.ts';
import type { Compute } from '../ports/compute.ts';
import { openBackend } from './backend.ts';
import { browserClock } from '../link/clock.ts';
import { EmulatedCompute } from './emulated.ts';
import { TfCompute } from './tf-compute.ts';
import { WorkerCompute } from './worker-compute.ts';

/** Software rendering compiles its first programs in seconds; a device that needs longer is not usable. */
const ATTEMPT_MS = 20_000;

export interface ComputeOptions {
  /** Milliseconds for the whole model's forward of one micro-batch; null for the device's own speed. */
  emulatedMs: number | null;
  /** Tensor bytes that the device may hold, for the planner; no bound of its own where left out. */
  memoryBytes?: number | null;
  /** Where the bundle of worker.ts is served. */
  workerUrl: string | URL;
  force?: 'cpu';
}

/**
 * The best that this browser offers: WebGL in a worker, WebGL on the page, the CPU in a worker, the CPU on the page.
 * `device.note` says for people why it is not the first.
 */
export async function openCompute(options: ComputeOptions, clock: Clock = browserClock): Promise<Compute> {
  const { force } = options;
  const started: Worker[] = [];
  const inWorker = await attempt(() => openInWorker(options, started), clock);
  if (!inWorker.value) started.forEach((worker) => worker.terminate());
  if (inWorker.value && (inWorker.value.device.backend === 'webgl' || force)) return inWorker.value;

  const workerNote = inWorker.value ? inWorker.value.device.note : `No worker: ${inWorker.failure}`;
  if (!force) {
    const onPage = await attempt(() => openOnPage(options, clock, workerNote, 'webgl'), clock);
    if (onPage.value) {
      inWorker.value?.close();
      return onPage.value;
    }
  }
  return inWorker.value ?? openOnPage(options, clock, workerNote);
}

/** The worker goes to `started` at once: one that never answers can still be ended. */
function openInWorker(options: ComputeOptions, started: Worker[]): Promise<WorkerCompute> {
  const { workerUrl, emulatedMs, memoryBytes = null, force } = options;
  const worker = new Worker(workerUrl, { type: 'module' });
  started.push(worker);
  return WorkerCompute.open(worker, { emulatedMs, memoryBytes, force });
}

/** `only`: fails where the page offers another backend than this one. */
async function openOnPage(
  { emulatedMs, memoryBytes, force }: ComputeOptions,
  clock: Clock,
  workerNote: string,
  only?: 'webgl',
): Promise<Compute> {
  const backend = await openBackend(force);
  if (only && backend.name !== only) throw new Error(backend.note);
  const note = `It computes on the page, which may stutter (${workerNote}) ${backend.note}`.trim();
  const compute = new TfCompute({ ...backend, note }, 'page', clock, memoryBytes);
  return emulatedMs === null ? compute : new EmulatedCompute(compute, emulatedMs, clock);
}

/** What `open` gave within the time limit, or why not. What comes too late is closed. */
function attempt<T extends Compute>(
  open: () => Promise<T>,
  clock: Clock,
): Promise<{ value: T; failure: '' } | { value: null; failure: string }> {
  return new Promise((resolve) => {
    let waiting = true;
    const fail = (failure: string) => {
      waiting = false;
      resolve({ value: null, failure });
    };
    const cancel = clock.after(ATTEMPT_MS, () => {
      fail(`it did not start within ${ATTEMPT_MS / 1000} seconds.`);
    });
    // Inside a promise, so that a browser without Worker fails like any other.
    Promise.resolve()
      .then(open)
      .then(
        (value) => {
          cancel();
          if (waiting) resolve({ value, failure: '' });
          else value.close();
        },
        (error: unknown) => {
          cancel();
          fail(error instanceof Error ? error.message : String(error));
        },
      );
  });
}
