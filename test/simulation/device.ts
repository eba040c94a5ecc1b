import { openBackend } from '../../client/engine/backend.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type * as port from '../../client/ports/compute.ts';

const cpu = await openBackend('cpu');

/** Operations per virtual millisecond of an ordinary simulated device. */
const OPERATIONS_PER_MS = 20_000;

/** A device of the simulation: real numbers from tfjs on the CPU, virtual time by its speed. */
export class SimDevice implements port.Compute {
  readonly #inner: TfCompute;
  #block: port.BlockSpec | null = null;
  #rows = 0;
  #layers: string[] = [];
  /** For tests: called with the state of every held layer after each step. */
  onStep: ((states: port.LayerState[]) => void) | null = null;
  /** For tests: the states that the latest block began with. */
  loaded: port.LayerState[] = [];
  /** For tests: most layers held at once. */
  layersHeldMax = 0;

  constructor(
    private readonly clock: Clock,
    /** 1 is an ordinary device, 0.5 one half as fast. */
    private readonly speed = 1,
  ) {
    this.#inner = new TfCompute(cpu, 'process', clock);
  }

  get device(): port.DeviceInfo {
    // Its time is virtual: parts on their way take nothing of it.
    return { ...this.#inner.device, onProcessor: false };
  }

  async profile(blocks: port.BlockSpec[]): Promise<port.BlockCost[]> {
    const costs = blocks.map((block) => {
      const forwardMs = (operationsOf(block.segments, block) * block.rows) / (OPERATIONS_PER_MS * this.speed);
      return { forwardMs, backwardMs: 2 * forwardMs, weightsMs: forwardMs };
    });
    await this.#pass(50);
    return costs;
  }

  /** For tests: a device that takes that long to be measured. */
  async profileSlowly(ms: number, blocks: port.BlockSpec[]): Promise<port.BlockCost[]> {
    await this.#pass(ms);
    return this.profile(blocks);
  }

  async load(block: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    await this.#inner.load(block, state);
    this.loaded = state;
    this.#block = block;
    const ops = block.segments.flatMap((segment) => segment.ops);
    this.#layers = [...new Set(ops.filter((op) => op.parameters.length > 0).map((op) => op.layer))];
    this.layersHeldMax = Math.max(this.layersHeldMax, this.#layers.length);
  }

  async forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    const result = await this.#inner.forward(task);
    this.#rows = task.rows;
    await this.#pass(this.#msFor(task.segment, task.rows));
    return result;
  }

  async backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    const result = await this.#inner.backward(task);
    await this.#pass((task.defer ? 1 : 2) * this.#msFor(task.segment, this.#rows));
    return result;
  }

  async weights(task: port.WeightsTask): Promise<void> {
    await this.#inner.weights(task);
    await this.#pass(task.micros.length * this.#msFor(task.segment, this.#rows));
  }

  skip(task: port.SkipTask): Promise<void> {
    return this.#inner.skip(task);
  }

  async step(task: port.StepTask): Promise<port.StepResult> {
    const result = await this.#inner.step(task);
    if (this.onStep) this.onStep(await Promise.all(this.#layers.map((layer) => this.#inner.read(layer))));
    return result;
  }

  abandon(): Promise<void> {
    return this.#inner.abandon();
  }

  read(layer: string): Promise<port.LayerState> {
    return this.#inner.read(layer);
  }

  importance(): Promise<port.Importance[]> {
    return this.#inner.importance();
  }

  memory(): Promise<port.MemoryUse> {
    return this.#inner.memory();
  }

  async unload(): Promise<void> {
    this.#layers = [];
    await this.#inner.unload();
  }

  close(): void {
    this.#inner.close();
  }

  #msFor(segment: number, rows: number): number {
    const block = this.#block!;
    return (operationsOf([block.segments[segment]], block) * rows) / (OPERATIONS_PER_MS * this.speed);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }
}

/** Multiply-adds of the products in some segments, counted as two, per sample: by the numbers of their parameters. */
function operationsOf(segments: readonly port.BlockSegment[], { registers }: port.BlockSpec): number {
  return segments
    .flatMap((segment) => segment.ops)
    .reduce((sum, { op, inputs, output }) => {
      if (op.kind !== 'dense') return sum;
      const width = (register: number) => registers[register].held[1] - registers[register].held[0];
      return sum + 2 * width(inputs[0]) * registers[inputs[0]].shape.outer * width(output);
    }, 0);
}
