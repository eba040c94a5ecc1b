import type { Clock } from '../ports/clock.ts';
import type * as port from '../ports/compute.ts';
import { layerKind } from './layers/index.ts';
import { Queue } from './queue.ts';

/**
 * A device of a given speed on top of a faster one: forward and backward of a block take `emulatedMs` times the
 * block's share of the model in all, for a micro-batch of the block's rows. Real time counts towards it. Evaluation runs
 * at the device's own speed: nothing is measured by it.
 */
export class EmulatedCompute implements port.Compute {
  private readonly inner: port.Compute;
  private readonly emulatedMs: number;
  private readonly clock: Clock;
  private readonly queue = new Queue();
  private block: Pick<port.BlockSpec, 'share' | 'rows'> | null = null;
  private readonly rowsOf = new Map<number, number>();

  /** `emulatedMs`: milliseconds for the whole model's forward of one micro-batch; the backward is given as much. */
  constructor(inner: port.Compute, emulatedMs: number, clock: Clock) {
    this.inner = inner;
    this.emulatedMs = emulatedMs;
    this.clock = clock;
  }

  get device(): port.DeviceInfo {
    return { ...this.inner.device, emulatedMs: this.emulatedMs };
  }

  /** What the emulated device would measure, where `layers` are the whole model: each layer's share of operations. */
  profile(layers: port.BlockLayer[]): Promise<port.LayerCost[]> {
    const operations = layers.map((layer) => layerKind(layer.spec).operations(layer));
    const all = operations.reduce((sum, count) => sum + count, 0);
    const costs = layers.map(({ spec }, i) => {
      const ms = (this.emulatedMs * operations[i]) / all;
      return { layer: spec.name, forwardMs: ms, backwardMs: ms };
    });
    return this.queue.add(() => costs);
  }

  load(block: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    return this.queue.add(async () => {
      await this.inner.load(block, state);
      this.block = { share: block.share, rows: block.rows };
      this.rowsOf.clear();
    });
  }

  forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    const { micro, rows, training } = task;
    if (!training) return this.queue.add(() => this.inner.forward(task));
    return this.slowly(rows, async () => {
      const result = await this.inner.forward(task);
      this.rowsOf.set(micro, rows);
      return result;
    });
  }

  backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    return this.queue.add(() => {
      const rows = this.rowsOf.get(task.micro) ?? 0;
      this.rowsOf.delete(task.micro);
      return this.atLeast(this.durationOf(rows), () => this.inner.backward(task));
    });
  }

  step(task: port.StepTask): Promise<port.StepResult> {
    return this.queue.add(() => this.inner.step(task));
  }

  abandon(): Promise<void> {
    return this.queue.add(() => {
      this.rowsOf.clear();
      return this.inner.abandon();
    });
  }

  read(layer: string): Promise<port.LayerState> {
    return this.queue.add(() => this.inner.read(layer));
  }

  memory(): Promise<port.MemoryUse> {
    return this.queue.add(() => this.inner.memory());
  }

  unload(): Promise<void> {
    return this.queue.add(() => this.inner.unload());
  }

  close(): void {
    this.inner.close();
  }

  private slowly<T>(rows: number, work: () => Promise<T>): Promise<T> {
    return this.queue.add(() => this.atLeast(this.durationOf(rows), work));
  }

  private durationOf(rows: number): number {
    return this.block ? (this.emulatedMs * this.block.share * rows) / this.block.rows : 0;
  }

  /** Resolves `ms` after now at the earliest; a failure need not wait. */
  private async atLeast<T>(ms: number, work: () => Promise<T>): Promise<T> {
    const start = this.clock.now();
    const result = await work();
    const rest = start + ms - this.clock.now();
    if (rest > 0) await new Promise<void>((resolve) => this.clock.after(rest, resolve));
    return result;
  }
}
