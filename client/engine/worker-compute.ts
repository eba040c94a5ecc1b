import type * as port from '../ports/compute.ts';
import { buffersIn, type Method, type OpenOptions, type Response } from './protocol.ts';

interface Pending {
  resolve: (value: unknown) => void;
  reject: (reason: Error) => void;
}

/**
 * The page's side of a compute in a worker. Inputs and gradients move there and leave the caller's arrays empty;
 * labels and states are copied (states may be somebody's backup); all results move back.
 */
export class WorkerCompute implements port.Compute {
  device: port.DeviceInfo = {
    backend: 'cpu',
    where: 'worker',
    note: 'not opened yet',
    grain: 1,
    onProcessor: false,
    emulatedMs: null,
    memoryBytes: null,
  };
  private readonly worker: Worker;
  private readonly pending = new Map<number, Pending>();
  private nextId = 0;
  private dead: Error | null = null;

  private constructor(worker: Worker) {
    this.worker = worker;
    worker.onmessage = ({ data }: MessageEvent<Response>) => {
      this.settle(data);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.die(`The worker that computes here crashed: ${event.message || 'its script could not be run'}.`);
    };
    worker.onmessageerror = () => {
      this.die('The worker that computes here sent something unreadable.');
    };
  }

  /** Resolves when the worker has chosen its backend. The worker is ended if that fails. */
  static async open(worker: Worker, options: OpenOptions): Promise<WorkerCompute> {
    const compute = new WorkerCompute(worker);
    try {
      compute.device = (await compute.request('open', [options])) as port.DeviceInfo;
      return compute;
    } catch (error) {
      compute.close();
      throw error;
    }
  }

  profile(blocks: port.BlockSpec[]): Promise<port.BlockCost[]> {
    return this.call('profile', [blocks]);
  }

  load(block: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    return this.call('load', [block, state]);
  }

  forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    return this.call('forward', [task], task.input);
  }

  backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    return this.call('backward', [task], task.gradient);
  }

  weights(task: port.WeightsTask): Promise<void> {
    return this.call('weights', [task]);
  }

  skip(task: port.SkipTask): Promise<void> {
    return this.call('skip', [task]);
  }

  step(task: port.StepTask): Promise<port.StepResult> {
    return this.call('step', [task]);
  }

  abandon(): Promise<void> {
    return this.call('abandon', []);
  }

  read(layer: string): Promise<port.LayerState> {
    return this.call('read', [layer]);
  }

  importance(): Promise<port.Importance[]> {
    return this.call('importance', []);
  }

  memory(): Promise<port.MemoryUse> {
    return this.call('memory', []);
  }

  unload(): Promise<void> {
    return this.call('unload', []);
  }

  close(): void {
    this.die('This device was closed.');
  }

  /** Arguments and result have the types of the method of the same name. */
  private call<M extends Method>(
    method: M,
    args: Parameters<port.Compute[M]>,
    moved?: ArrayBufferView,
  ): ReturnType<port.Compute[M]> {
    return this.request(method, args, moved) as ReturnType<port.Compute[M]>;
  }

  private request(method: Method | 'open', args: unknown[], moved?: ArrayBufferView): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.dead) throw this.dead;
      const id = this.nextId++;
      this.worker.postMessage({ id, method, args }, [...buffersIn(moved)]);
      this.pending.set(id, { resolve, reject });
    });
  }

  private settle(response: Response): void {
    const pending = this.pending.get(response.id);
    this.pending.delete(response.id);
    if ('error' in response) pending?.reject(new Error(response.error));
    else pending?.resolve(response.value);
  }

  private die(reason: string): void {
    this.dead ??= new Error(reason);
    this.worker.terminate();
    for (const { reject } of this.pending.values()) reject(this.dead);
    this.pending.clear();
  }
}
