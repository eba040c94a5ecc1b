import type { BackwardTask, Compute, ForwardTask } from '../ports/compute.ts';
import { openBackend } from './backend.ts';
import { browserClock } from '../link/clock.ts';
import { EmulatedCompute } from './emulated.ts';
import { buffersIn, type OpenOptions, type Request, type Response } from './protocol.ts';
import { TfCompute } from './tf-compute.ts';
import { releaseNumbers } from '../../shared/number-pool.ts';

/** The part of DedicatedWorkerGlobalScope used here; the DOM types describe a page. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(message: Response, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let compute: Compute | null = null;

async function open({ emulatedMs, memoryBytes, force }: OpenOptions): Promise<Compute['device']> {
  const device = new TfCompute(await openBackend(force), 'worker', browserClock, memoryBytes);
  // Emulated here rather than on the page: timers of a hidden page come seconds late.
  compute = emulatedMs === null ? device : new EmulatedCompute(device, emulatedMs, browserClock);
  return compute.device;
}

async function serve(request: Request): Promise<unknown> {
  if (request.method === 'open') return open(request.args[0]);
  if (!compute) throw new Error('The worker was asked to compute before it was opened.');
  const methods = compute as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  return methods[request.method](...request.args);
}

/** What came for a pass is on the device by now, and what leaves it next is as large. Tensors of the CPU back-end may lie in that very array. */
function releaseInput({ method, args }: Request): void {
  if (compute?.device.backend !== 'webgl') return;
  const [task] = args as (Partial<ForwardTask> & Partial<BackwardTask>)[];
  const numbers = method === 'forward' ? task.input : method === 'backward' ? task.gradient : null;
  if (numbers instanceof Float32Array) releaseNumbers(numbers);
}

scope.onmessage = ({ data: request }) => {
  const { id } = request;
  serve(request).then(
    (value) => {
      releaseInput(request);
      scope.postMessage({ id, value }, [...buffersIn(value)]);
    },
    (error: unknown) => {
      scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) }, []);
    },
  );
};
