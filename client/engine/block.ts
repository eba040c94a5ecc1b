import { engine, tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type {
  BackwardResult,
  BackwardTask,
  BlockSpec,
  ForwardResult,
  ForwardTask,
  LayerState,
  MemoryUse,
  StepResult,
  StepTask,
} from '../ports/compute.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { checkForward } from './check-forward.ts';
import { HeldLayer } from './held-layer.ts';
import { disposeFlight, InFlight, type Flight } from './in-flight.ts';
import type { Kernels } from './kernels/index.ts';
import { LossHead } from './loss.ts';
import { MemoryMeter } from './memory-meter.ts';
import { Normaliser } from './normaliser.ts';
import { optimizerOf } from './optimizers.ts';
import type { LayerStart } from './starting-point.ts';

/**
 * The layers that one device holds, on tfjs tensors. All methods are synchronous and check before they touch anything:
 * a call that throws leaves the block as it was. (Should the device itself fail half-way through the sums of a
 * backward, steps are refused until `abandon`; half-way through an update, until the block is loaded anew.)
 */
export class Block {
  private readonly spec: BlockSpec;
  private readonly kernels: Kernels;
  private readonly meter = new MemoryMeter();
  private readonly inFlight = new InFlight();
  private readonly layers: readonly HeldLayer[];
  private readonly head: LossHead | null;
  private readonly normaliser: Normaliser | null;
  /** Why the gradient sums, or for good the weights, cannot be trusted. */
  private spoiled: { reason: string; forGood: boolean } | null = null;

  /** `starts` as `startingPoint` gives them. */
  constructor(kernels: Kernels, spec: BlockSpec, starts: readonly LayerStart[]) {
    this.spec = spec;
    this.kernels = kernels;
    this.head = spec.head ? new LossHead(kernels) : null;
    this.normaliser = spec.input.kind === 'samples' ? new Normaliser(spec.input.normalisation) : null;
    const layers: HeldLayer[] = [];
    this.layers = layers;
    this.run(() => {
      for (const start of starts) layers.push(new HeldLayer(kernels, spec, start));
    });
  }

  forward(task: ForwardTask): ForwardResult {
    this.refuseSpoiled(true);
    const already = task.training && this.inFlight.has(task.micro);
    if (already) throw new Error(`Forward of ${this.at(task.micro)} was already done.`);
    checkForward(this.spec, task, this.at(task.micro));
    return this.run(() => {
      const { micro, rows, training } = task;
      const inputs: Tensor2D[] = [];
      let output = this.upload(task.input, rows);
      for (const layer of this.layers) {
        inputs.push(output);
        output = layer.compute.forward(output);
        if (!training) this.passOn(inputs.pop()!, output);
      }
      if (this.head && task.labels) {
        if (!training) return { metrics: this.head.evaluate(output, task.labels) };
        const gradient = this.head.train(output, task.labels);
        this.keep(micro, rows, inputs, output, gradient);
        return {};
      }
      const result = readBack(output);
      assertFinite(result, `Output of ${this.at(micro)}`);
      if (training) this.keep(micro, rows, inputs, output, null);
      return { output: result };
    });
  }

  backward({ micro, gradient }: BackwardTask): BackwardResult {
    this.refuseSpoiled(false);
    const flight = this.inFlight.get(micro);
    if (!flight) throw new Error(`Backward of ${this.at(micro)} has no forward to go back over.`);
    const { rows } = flight;
    if (!this.head) {
      if (!gradient) throw new Error(`Backward of ${this.at(micro)} came without a gradient.`);
      assertLength(gradient, rows * this.outputSize, `Gradient of ${this.at(micro)}`);
      assertFinite(gradient, `Gradient of ${this.at(micro)}`);
    }
    return this.run(() => {
      this.inFlight.take(micro);
      this.spoiled = { reason: `Backward of ${this.at(micro)} failed: abandon the step.`, forGood: false };
      try {
        const result = this.backThrough(
          flight,
          flight.gradient ?? tensor2d(gradient!, [rows, this.outputSize]),
        );
        if (result) assertFinite(result, `Input gradient of ${this.at(micro)}`);
        this.spoiled = null;
        return result ? { gradient: result } : {};
      } finally {
        disposeFlight(flight);
      }
    });
  }

  step({ counted, learningRate }: StepTask): StepResult {
    assertCount(counted, 0, 'The number of micro-batches counted in a step');
    if (!Number.isFinite(learningRate)) throw new Error(`The learning rate ${learningRate} is not a number.`);
    this.refuseSpoiled(false);
    return this.run(() => {
      const metrics = this.head?.read();
      if (metrics && !Number.isFinite(metrics.lossSum)) {
        throw new Error(
          `The loss after layer ${this.layers.at(-1)!.name} is not finite (${metrics.lossSum}); the step was not applied.`,
        );
      }
      if (counted > 0) this.update(learningRate, 1 / counted);
      this.forgetStep();
      return metrics ? { metrics } : {};
    });
  }

  /** Forgets micro-batches in flight and what was summed since the last step. */
  abandon(): void {
    if (this.spoiled && !this.spoiled.forGood) this.spoiled = null;
    this.run(() => {
      this.inFlight.forget();
      this.forgetStep();
    });
  }

  read(name: string): LayerState {
    this.refuseSpoiled(true);
    const layer = this.layers.find((held) => held.name === name);
    if (!layer) throw new Error(`Layer ${name} is not in this block (${this.range}).`);
    return this.run(() => layer.read());
  }

  memory(): MemoryUse {
    const parametersBytes = this.parameters.reduce((sum, { bytes }) => sum + bytes, 0);
    const arrays = optimizerOf(this.spec.optimizer.kind).state.length;
    const { tensors, bytes, peakBytes } = this.meter;
    return {
      tensors,
      bytes,
      peakBytes,
      accounted: {
        parametersBytes,
        gradientsBytes: parametersBytes,
        optimizerBytes: arrays * parametersBytes,
        activationsBytes: this.inFlight.mostBytes,
      },
    };
  }

  dispose(): void {
    this.meter.measure(() => this.held.forEach((tensor) => tensor.dispose()));
  }

  private get parameters() {
    return this.layers.flatMap((layer) => layer.parameters);
  }

  private get outputSize(): number {
    const [start, end] = this.layers.at(-1)!.spec.units;
    return end - start;
  }

  private get range(): string {
    const names = this.layers.map((layer) => layer.name);
    return names.length === 1 ? `layer ${names[0]}` : `layers ${names[0]} to ${names.at(-1)!}`;
  }

  private at(micro: number): string {
    return `micro-batch ${micro} at ${this.range}`;
  }

  private get held(): Tensor2D[] {
    const layers = this.layers.flatMap((layer) => layer.tensors);
    return [...layers, ...this.inFlight.tensors, ...(this.head?.tensors ?? [])];
  }

  /** Whatever `work` makes and the block does not hold at its end is disposed, also when it throws. */
  private run<T>(work: () => T): T {
    return this.meter.measure(() => {
      engine().startScope('block');
      try {
        return work();
      } finally {
        engine().endScope(this.held);
      }
    });
  }

  private refuseSpoiled(onlyForGood: boolean): void {
    if (this.spoiled && (this.spoiled.forGood || !onlyForGood)) throw new Error(this.spoiled.reason);
  }

  private upload(input: Uint8Array | Float32Array, rows: number): Tensor2D {
    const numbers = input instanceof Uint8Array ? this.normaliser!.apply(input) : input;
    return tensor2d(numbers, [rows, numbers.length / rows]);
  }

  /** In evaluation nothing is kept: the input of a layer goes as soon as its output is there. */
  private passOn(input: Tensor2D, output: Tensor2D): void {
    this.inFlight.notePassing(input, output);
    input.dispose();
  }

  private keep(
    micro: number,
    rows: number,
    inputs: Tensor2D[],
    output: Tensor2D,
    gradient: Tensor2D | null,
  ): void {
    const last = this.layers.at(-1)!.compute;
    this.inFlight.add(micro, { rows, inputs, output: last.needsOutput ? output : null, gradient });
  }

  /** Consumes what `flight` kept and dLoss/dOutput; gives dLoss/dInput where the block's input has a gradient. */
  private backThrough({ inputs, output }: Flight, gradient: Tensor2D): Float32Array | null {
    const wanted = this.normaliser === null;
    let dy = gradient;
    for (let i = this.layers.length - 1; i >= 0; i--) {
      const input = inputs[i];
      // The input of any but the first layer is also the output that the layer before it will read.
      const releaseInput = () => (i === 0 ? input.dispose() : undefined);
      const dx = this.layers[i].compute.backward({ input, output, releaseInput }, dy, i > 0 || wanted);
      if (!dx) return null;
      dy = dx;
      output = input;
    }
    return readBack(dy);
  }

  private update(learningRate: number, scale: number): void {
    this.spoiled = {
      reason: `An update of ${this.range} was cut short: load the block anew.`,
      forGood: true,
    };
    for (const layer of this.layers) layer.update(this.kernels, learningRate, scale);
    this.spoiled = null;
  }

  private forgetStep(): void {
    this.head?.forget();
    for (const parameter of this.parameters) parameter.forgetSums();
  }
}

/** A copy: on the CPU the array read is the tensor's own, on WebGL the backend caches it; callers give theirs away. */
const readBack = (tensor: Tensor2D): Float32Array => tensor.dataSync<'float32'>().slice();
