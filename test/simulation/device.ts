import { openBackend } from '../../client/engine/backend.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import type { Clock } from '../../client/ports/clock.ts';
import type * as port from '../../client/ports/compute.ts';
import { modelShapes } from '../../client/model/shapes.ts';

const cpu = await openBackend('cpu');

/** Operations per virtual millisecond of an ordinary simulated device. */
const OPERATIONS_PER_MS = 20_000;

/** A device of the simulation: real numbers from tfjs on the CPU, virtual time by its speed. */
export class SimDevice implements port.Compute {
  readonly #inner: TfCompute;
  #operations = 0;
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
    return this.#inner.device;
  }

  async profile(layers: port.BlockLayer[], rows: number): Promise<port.LayerCost[]> {
    const costs = layers.map((layer) => {
      const forwardMs = (operationsOf([layer]) * rows) / (OPERATIONS_PER_MS * this.speed);
      return { layer: layer.spec.name, forwardMs, backwardMs: 2 * forwardMs };
    });
    await this.#pass(50);
    return costs;
  }

  /** For tests: a device that takes that long to be measured. */
  async profileSlowly(ms: number, layers: port.BlockLayer[], rows: number): Promise<port.LayerCost[]> {
    await this.#pass(ms);
    return this.profile(layers, rows);
  }

  async load(block: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    await this.#inner.load(block, state);
    this.loaded = state;
    this.#operations = operationsOf(block.layers);
    this.#layers = block.layers.map((layer) => layer.spec.name);
    this.layersHeldMax = Math.max(this.layersHeldMax, this.#layers.length);
  }

  async forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    const result = await this.#inner.forward(task);
    this.#rows = task.rows;
    await this.#pass(this.#msFor(task.rows));
    return result;
  }

  async backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    const result = await this.#inner.backward(task);
    await this.#pass(2 * this.#msFor(this.#rows));
    return result;
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

  #msFor(rows: number): number {
    return (this.#operations * rows) / (OPERATIONS_PER_MS * this.speed);
  }

  #pass(ms: number): Promise<void> {
    return new Promise((resolve) => void this.clock.after(ms, resolve));
  }
}

function operationsOf(layers: readonly port.BlockLayer[]): number {
  return layers.reduce((sum, { spec, inputShape }) => {
    const [shape] = modelShapes({ name: 'one', inputShape, layers: [spec], loss: 'softmaxCrossEntropy' });
    return sum + shape.operations;
  }, 0);
}
