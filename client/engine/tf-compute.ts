import type { Clock } from '../ports/clock.ts';
import type * as port from '../ports/compute.ts';
import type { Backend } from './backend.ts';
import { Block } from './block.ts';
import { busySegments } from './block-plan.ts';
import { startingPoint } from './starting-point.ts';
import { profileBlocks } from './profile.ts';
import { registerWidth } from './matrix.ts';
import { Queue } from './queue.ts';

/** Compiles the shaders of a block by one empty pass, so that the first step takes no longer than the others. */
function warmUp(block: Block, { registers, segments, rows, input, head }: port.BlockSpec): void {
  const busy = busySegments(segments);
  const numbersOf = (register: number) => rows * registerWidth(registers[register]);
  for (const segment of busy) {
    const entry = segments[segment].input;
    const numbers = entry === null ? 0 : numbersOf(entry);
    const takesSamples = input.kind === 'samples' && segment === 0;
    block.forward({
      segment,
      micro: 0,
      step: 0,
      rows,
      training: true,
      ...(entry !== null && { input: takesSamples ? new Uint8Array(numbers) : new Float32Array(numbers) }),
      ...(head && segment === segments.length - 1 && { labels: new Uint8Array(rows) }),
    });
  }
  for (const segment of busy.toReversed()) {
    const { output } = segments[segment];
    block.backward({
      segment,
      micro: 0,
      ...(output !== null && { gradient: new Float32Array(numbersOf(output)) }),
    });
  }
  block.abandon();
}

/** Numbers in one texel. */
const TEXEL = 4;

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
    const { name, note, onProcessor } = backend;
    const grain = name === 'webgl' ? TEXEL : 1;
    this.device = { backend: name, where, note, grain, onProcessor, emulatedMs: null, memoryBytes };
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

  weights(task: port.WeightsTask): Promise<void> {
    return this.run(() => this.held.weights(task));
  }

  skip(task: port.SkipTask): Promise<void> {
    return this.run(() => this.held.skip(task));
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
      this.backend.submit();
      this.backend.assertAlive();
      return result;
    });
  }
}
