import type { Clock } from '../ports/clock.ts';
import * as port from '../ports/compute.ts';
import { Queue } from './queue.ts';

/**
 * A device of a given speed on top of a faster one: forward, input gradient and weight gradient of a segment take `emulatedMs` times
 * its share of the model each, for a micro-batch of the block's rows. Real time counts towards it. Evaluation runs
 * at the device's own speed: nothing is measured by it.
 */
export class EmulatedCompute implements port.Compute {
  private readonly inner: port.Compute;
  private readonly emulatedMs: number;
  private readonly clock: Clock;
  private readonly queue = new Queue();
  private block: Pick<port.BlockSpec, 'segments' | 'rows'> | null = null;
  private readonly rowsOf = new Map<number, number>();

  /** `emulatedMs`: milliseconds for the whole model's forward of one micro-batch; each gradient is given as much. */
  constructor(inner: port.Compute, emulatedMs: number, clock: Clock) {
    this.inner = inner;
    this.emulatedMs = emulatedMs;
    this.clock = clock;
  }

  get device(): port.DeviceInfo {
    return { ...this.inner.device, emulatedMs: this.emulatedMs };
  }

  /**
   * Each block's share of the model's operations. The real device is not asked: while others measure beside it, what it takes now and then
   * exceeds what is emulated, and a plan made by that lasts.
   */
  profile(blocks: port.BlockSpec[]): Promise<port.BlockCost[]> {
    return this.queue.add(() =>
      Promise.resolve(
        blocks.map(({ segments }) => {
          const ms = this.emulatedMs * segments.reduce((sum, { share }) => sum + share, 0);
          return { forwardMs: ms, backwardMs: 2 * ms, weightsMs: ms };
        }),
      ),
    );
  }

  load(block: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    return this.queue.add(async () => {
      await this.inner.load(block, state);
      this.block = { segments: block.segments, rows: block.rows };
      this.rowsOf.clear();
    });
  }

  forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    const { segment, micro, rows, training } = task;
    if (!training) return this.queue.add(() => this.inner.forward(task));
    return this.slowly(segment, rows, async () => {
      const result = await this.inner.forward(task);
      this.rowsOf.set(micro, rows);
      return result;
    });
  }

  backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    return this.queue.add(() => {
      const ms = this.durationOf(task.segment, this.rowsOf.get(task.micro) ?? 0);
      return this.atLeast(task.defer ? ms : 2 * ms, () => this.inner.backward(task));
    });
  }

  weights(task: port.WeightsTask): Promise<void> {
    return this.queue.add(() => {
      const ms = task.micros.reduce(
        (sum, micro) => sum + this.durationOf(task.segment, this.rowsOf.get(micro) ?? 0),
        0,
      );
      return this.atLeast(ms, () => this.inner.weights(task));
    });
  }

  skip(task: port.SkipTask): Promise<void> {
    return this.queue.add(() => this.inner.skip(task));
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

  importance(): Promise<port.Importance[]> {
    return this.queue.add(() => this.inner.importance());
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

  private slowly<T>(segment: number, rows: number, work: () => Promise<T>): Promise<T> {
    return this.queue.add(() => this.atLeast(this.durationOf(segment, rows), work));
  }

  private durationOf(segment: number, rows: number): number {
    // A segment that does not exist takes no time: the inner compute refuses it.
    const share = this.block?.segments.at(segment)?.share ?? 0;
    return this.block ? (this.emulatedMs * share * rows) / this.block.rows : 0;
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
