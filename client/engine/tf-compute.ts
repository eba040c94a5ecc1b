import type { Clock } from '../ports/clock.ts';
import type * as port from '../ports/compute.ts';
import type { Backend } from './backend.ts';
import { Block } from './block.ts';
import { startingPoint } from './starting-point.ts';
import { profileBlocks } from './profile.ts';
import { registerWidth } from './matrix.ts';
import { Queue } from './queue.ts';

/** Compiles the shaders of a block by one empty pass, so that the first step takes no longer than the others. */
function warmUp(block: Block, { registers, segments, rows, input, head }: port.BlockSpec): void {
  const last = segments.length - 1;
  segments.forEach((segment, i) => {
    if (segment.input === null && segment.ops.length === 0) return;
    const numbers = segment.input === null ? 0 : rows * registerWidth(registers[segment.input]);
    const zeros = input.kind === 'samples' && i === 0 ? new Uint8Array(numbers) : new Float32Array(numbers);
    block.forward({
      segment: i,
      micro: 0,
      step: 0,
      rows,
      training: true,
      ...(segment.input !== null && { input: zeros }),
      ...(head && i === last && { labels: new Uint8Array(rows) }),
    });
  });
  for (let i = last; i >= 0; i--) {
    const { input: entry, ops, output } = segments[i];
    if (entry === null && ops.length === 0) continue;
    const gradient = output === null ? null : new Float32Array(rows * registerWidth(registers[output]));
    block.backward({ segment: i, micro: 0, ...(gradient && { gradient }) });
  }
  block.abandon();
}

/** A block on the tfjs backend of this very thread. */
export class TfCompute implements port.Compute {
  readonly device: port.DeviceInfo;
  private readonly backend: Backend;
  private readonly clock: Clock;
  private readonly queue = new Queue();
  private block: Block | null = null;
  private closed = false;

  /** `clock` times layers when they are profiled. */
  constructor(
    backend: Backend,
    where: port.DeviceInfo['where'],
    clock: Clock,
    memoryBytes: number | null = null,
  ) {
    this.backend = backend;
    this.clock = clock;
    this.device = { backend: backend.name, where, note: backend.note, emulatedMs: null, memoryBytes };
  }

  profile(blocks: port.BlockSpec[]): Promise<port.BlockCost[]> {
    return this.run(() => profileBlocks(this.backend.kernels, blocks, this.clock));
  }

  load(spec: port.BlockSpec, state: port.LayerState[]): Promise<void> {
    return this.run(() => {
      const starts = startingPoint(spec, state);
      this.drop();
      this.block = new Block(this.backend.kernels, spec, starts);
      if (this.backend.name === 'webgl') warmUp(this.block, spec);
    });
  }

  forward(task: port.ForwardTask): Promise<port.ForwardResult> {
    return this.run(() => this.held.forward(task));
  }

  backward(task: port.BackwardTask): Promise<port.BackwardResult> {
    return this.run(() => this.held.backward(task));
  }

  step(task: port.StepTask): Promise<port.StepResult> {
    return this.run(() => this.held.step(task));
  }

  abandon(): Promise<void> {
    return this.run(() => this.held.abandon());
  }

  read(layer: string): Promise<port.LayerState> {
    return this.run(() => this.held.read(layer));
  }

  importance(): Promise<port.Importance[]> {
    return this.run(() => this.held.importance());
  }

  memory(): Promise<port.MemoryUse> {
    return this.run(() => this.held.memory());
  }

  unload(): Promise<void> {
    return this.run(() => this.drop());
  }

  close(): void {
    this.closed = true;
    this.drop();
  }

  private get held(): Block {
    if (!this.block) throw new Error('No block is loaded on this device.');
    return this.block;
  }

  private drop(): void {
    this.block?.dispose();
    this.block = null;
  }

  /** Results that came while the context was being lost are garbage: look before and after. */
  private run<T>(work: () => T): Promise<T> {
    return this.queue.add(() => {
      if (this.closed) throw new Error('This device was closed.');
      this.backend.assertAlive();
      const result = work();
      this.backend.assertAlive();
      return result;
    });
  }
}
