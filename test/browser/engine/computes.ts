import { WorkerCompute } from '../../../client/engine/worker-compute.ts';

/** Where the runner serves the bundle of client/engine/worker.ts. */
export const WORKER_URL = '/worker.js';

export const inWorker = (force?: 'cpu'): Promise<WorkerCompute> =>
  WorkerCompute.open(new Worker(WORKER_URL, { type: 'module' }), { emulatedMs: null, force });

/** What a rejected call says. */
export const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: unknown) => (error as Error).message,
  );
