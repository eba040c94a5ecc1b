import { engine, tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type {
  BackwardResult,
  BackwardTask,
  BlockSpec,
  ForwardResult,
  ForwardTask,
  Importance,
  LayerState,
  MemoryUse,
  StepResult,
  StepTask,
} from '../ports/compute.ts';
import { planBlock, type BlockPlan } from './block-plan.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { checkForward } from './check-forward.ts';
import { HeldLayer } from './held-layer.ts';
import { holdOp, tensorsOf, type HeldOp } from './held-op.ts';
import { Flight, InFlight } from './in-flight.ts';
import type { Kernels } from './kernels/index.ts';
import { LossHead } from './loss.ts';
import { matrixOf, registerWidth } from './matrix.ts';
import { MemoryMeter } from './memory-meter.ts';
import { Normaliser } from './normaliser.ts';
import { addGradients } from './ops/unitwise.ts';
import { Scores } from './scores.ts';
import type { LayerStart } from './starting-point.ts';

/**
 * What one device holds of the model, on tfjs tensors: ops on registers, segment by segment. All methods are synchronous and check
 * before they touch anything: a call that throws leaves the block as it was. (Should the device itself fail half-way through the
 * sums of a backward, steps are refused until `abandon`; half-way through an update, until the block is loaded anew.)
 */
export class Block {
  private readonly spec: BlockSpec;
  private readonly plan: BlockPlan;
  private readonly kernels: Kernels;
  private readonly meter = new MemoryMeter();
  private readonly training = new InFlight();
  private readonly evaluating = new InFlight();
  private readonly layers: readonly HeldLayer[];
  /** Per segment. */
  private readonly ops: HeldOp[][] = [];
  /** Registers that some backward reads. */
  private readonly kept = new Set<number>();
  /** Per segment and op: the registers that no backward after its own reads. */
  private readonly frees: number[][][];
  private readonly head: LossHead | null;
  private readonly normaliser: Normaliser | null;
  private readonly scores: Scores;
  /** Why the gradient sums, or for good the weights, cannot be trusted. */
  private spoiled: { reason: string; forGood: boolean } | null = null;

  /** `starts` as `startingPoint` gives them. */
  constructor(kernels: Kernels, spec: BlockSpec, starts: readonly LayerStart[]) {
    this.spec = spec;
    this.plan = planBlock(spec);
    this.kernels = kernels;
    this.head = spec.head ? new LossHead(kernels) : null;
    this.normaliser = spec.input.kind === 'samples' ? new Normaliser(spec.input.normalisation) : null;
    this.scores = new Scores(kernels, spec.registers);
    const layers: HeldLayer[] = [];
    this.layers = layers;
    this.run(() => {
      for (const start of starts) layers.push(new HeldLayer(kernels, spec, start));
      for (const fused of this.plan.segments) {
        const held: HeldOp[] = [];
        this.ops.push(held);
        for (const op of fused) held.push(holdOp(kernels, spec, op, layers));
      }
    });
    for (const { running, inputs, output, measures } of this.ops.flat()) {
      if (running.keeps.input) for (const input of inputs) this.kept.add(input);
      if (running.keeps.output || measures) this.kept.add(output);
    }
    this.frees = this.lastReaders();
  }

  forward(task: ForwardTask): ForwardResult {
    this.refuseSpoiled(true);
    const { segment, micro, training } = task;
    const flights = training ? this.training : this.evaluating;
    const already = training && flights.get(micro)?.done.has(segment);
    if (already) throw new Error(`Forward of ${this.at(micro)} was already done.`);
    checkForward(this.spec, task, this.at(micro), this.endsModel(segment));
    return this.run(() => {
      const { rows, step } = task;
      let flight = flights.get(micro);
      if (!flight) {
        const pass = { rows, step, training, firstSample: micro * this.spec.rows };
        flights.add(micro, (flight = new Flight(pass, task.measure ?? false)));
      }
      try {
        return this.through(flight, flights, task);
      } catch (error) {
        flights.remove(micro);
        throw error;
      }
    });
  }

  backward({ segment, micro, gradient }: BackwardTask): BackwardResult {
    this.refuseSpoiled(false);
    const flight = this.training.get(micro);
    if (!flight?.done.has(segment))
      throw new Error(`Backward of ${this.at(micro)} has no forward to go back over.`);
    const { output, input } = this.spec.segments[segment];
    if (output !== null) {
      if (!gradient) throw new Error(`Backward of ${this.at(micro)} came without a gradient.`);
      assertLength(
        gradient,
        flight.pass.rows * registerWidth(this.spec.registers[output]),
        `Gradient of ${this.at(micro)}`,
      );
      assertFinite(gradient, `Gradient of ${this.at(micro)}`);
    }
    return this.run(() => {
      this.spoiled = { reason: `Backward of ${this.at(micro)} failed: abandon the step.`, forGood: false };
      if (output !== null) this.addGradient(flight, output, this.matrix(output, flight.pass.rows, gradient!));
      for (let i = this.ops[segment].length - 1; i >= 0; i--) this.backOver(flight, segment, i);
      flight.done.delete(segment);
      const wanted = input !== null && !this.isSamples(input);
      const result = wanted ? this.takeGradient(flight, input) : null;
      const isOver = flight.done.size === 0;
      if (isOver) this.training.remove(micro);
      if (wanted && result) assertFinite(result, `Input gradient of ${this.at(micro)}`);
      this.spoiled = null;
      return result ? { gradient: result } : {};
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
          `The loss after layer ${this.lastLayer} is not finite (${metrics.lossSum}); the step was not applied.`,
        );
      }
      if (counted > 0) this.update(learningRate, 1 / counted);
      this.forgetStep();
      return metrics ? { metrics } : {};
    });
  }

  /** Waits until the device has done what it was given. */
  settle(): void {
    for (const layer of this.layers) {
      for (const { sums } of layer.parameters) for (const sum of sums) sum?.dataSync();
    }
  }

  /** Forgets micro-batches in flight and what was summed since the last step. */
  abandon(): void {
    if (this.spoiled && !this.spoiled.forGood) this.spoiled = null;
    this.run(() => {
      this.training.forget();
      this.evaluating.forget();
      this.forgetStep();
    });
  }

  read(name: string): LayerState {
    this.refuseSpoiled(true);
    const layer = this.layers.find((held) => held.name === name);
    if (!layer) throw new Error(`Layer ${name} is not in this block (${this.range}).`);
    return this.run(() => layer.read());
  }

  importance(): Importance[] {
    return this.run(() => this.scores.read());
  }

  memory(): MemoryUse {
    const sum = (value: (parameter: HeldLayer['parameters'][number]) => number) =>
      this.layers
        .flatMap((layer) => layer.parameters)
        .reduce((total, parameter) => total + value(parameter), 0);
    const { tensors, bytes, peakBytes } = this.meter;
    return {
      tensors,
      bytes,
      peakBytes,
      accounted: {
        parametersBytes: sum((parameter) => parameter.bytes),
        gradientsBytes: sum((parameter) => (parameter.trainable ? parameter.bytes : 0)),
        optimizerBytes: sum((parameter) => parameter.stateBytes),
        activationsBytes: Math.max(this.training.mostBytes, this.evaluating.mostBytes),
      },
    };
  }

  dispose(): void {
    this.meter.measure(() => this.held.forEach((tensor) => tensor.dispose()));
  }

  /** The backward goes from the end: the first op that reads a register is the last that needs it. */
  private lastReaders(): number[][][] {
    const seen = new Set<number>();
    return this.ops.map((ops) =>
      ops.map(({ running, inputs, output, measures }) => {
        const read = [
          ...(running.keeps.input ? inputs : []),
          ...(running.keeps.output || measures ? [output] : []),
        ];
        const first = [...new Set(read)].filter((register) => !seen.has(register));
        for (const register of first) seen.add(register);
        return first;
      }),
    );
  }

  /** Runs the ops of a segment on what came in. */
  private through(flight: Flight, flights: InFlight, task: ForwardTask): ForwardResult {
    const { segment, micro, rows, training } = task;
    const { input, output } = this.spec.segments[segment];
    if (input !== null && task.input) flight.registers.set(input, this.upload(task.input, input, rows));
    this.ops[segment].forEach((op, i) => {
      const inputs = op.inputs.map((register) => flight.registers.get(register)!);
      const { output: made, extras } = op.running.forward(inputs, flight.pass);
      flight.registers.set(op.output, made);
      if (extras && training) flight.extras.set(`${segment}/${i}`, extras);
      else extras?.forEach((tensor) => tensor.dispose());
      flights.note();
      const readLater = this.ops[segment].slice(i + 1).flatMap((later) => later.inputs);
      for (const register of op.inputs) {
        if (!readLater.includes(register) && register !== output) this.release(flight, register, segment);
      }
    });
    flight.done.add(segment);
    const result = this.leave(flight, task);
    if (result.output) assertFinite(result.output, `Output of ${this.at(micro)}`);
    if (!training && this.isLastPass(segment)) flights.remove(micro);
    return result;
  }

  /** What leaves a segment: the numbers of its output register, or at the head the loss. */
  private leave(flight: Flight, { segment, labels }: ForwardTask): ForwardResult {
    const { output } = this.spec.segments[segment];
    if (output !== null) {
      const result = readBack(flight.registers.get(output)!);
      this.release(flight, output, segment);
      return { output: result };
    }
    if (!this.head || !labels) return {};
    const register = this.ops[segment][this.ops[segment].length - 1].output;
    const logits = flight.registers.get(register)!;
    if (!flight.pass.training) return { metrics: this.head.evaluate(logits, labels) };
    this.addGradient(flight, register, this.head.train(logits, labels));
    this.training.note();
    if (!this.kept.has(register)) flight.drop(register);
    return {};
  }

  /** Lets go of a register after its last reader, unless a backward reads it. */
  private release(flight: Flight, register: number, segment: number): void {
    const isRead = this.plan.lastReader[register] > segment;
    if (!isRead && !(flight.pass.training && this.kept.has(register))) flight.drop(register);
  }

  private backOver(flight: Flight, segment: number, i: number): void {
    const { running, inputs, output, measures } = this.ops[segment][i];
    const gradient = flight.gradients.get(output);
    // Nothing came back for it: nobody used it.
    if (!gradient) return;
    flight.gradients.delete(output);
    if (measures && flight.measure)
      this.scores.add(output, flight.registers.get(output)!, gradient, flight.pass.rows);
    const key = `${segment}/${i}`;
    const kept = {
      inputs: inputs.map((register) => (running.keeps.input ? flight.registers.get(register)! : null)),
      output: running.keeps.output ? flight.registers.get(output)! : null,
      extras: flight.extras.get(key) ?? [],
      release: () => this.frees[segment][i].forEach((register) => flight.drop(register)),
    };
    flight.extras.delete(key);
    const wanted = inputs.some((register) => !this.isSamples(register));
    const results = running.backward(kept, gradient, wanted, flight.pass);
    results.forEach((result, k) => {
      if (!result) return;
      if (this.isSamples(inputs[k])) result.dispose();
      else this.addGradient(flight, inputs[k], result);
    });
    kept.release();
  }

  private addGradient(flight: Flight, register: number, gradient: Tensor2D): void {
    const sum = flight.gradients.get(register);
    flight.gradients.set(register, sum ? addGradients({ kernels: this.kernels }, sum, gradient) : gradient);
  }

  /** The gradient of a segment's input register, zeros where none came. */
  private takeGradient(flight: Flight, register: number): Float32Array {
    const gradient = flight.gradients.get(register);
    flight.gradients.delete(register);
    if (!gradient) return new Float32Array(flight.pass.rows * registerWidth(this.spec.registers[register]));
    const result = readBack(gradient);
    gradient.dispose();
    return result;
  }

  /** True for the register that holds samples: it has no gradient. */
  private isSamples(register: number): boolean {
    return this.normaliser !== null && register === this.spec.segments[0].input;
  }

  private endsModel(segment: number): boolean {
    const { ops, output } = this.spec.segments[segment];
    return this.spec.head && output === null && ops.length > 0 && segment === this.spec.segments.length - 1;
  }

  private isLastPass(segment: number): boolean {
    return (
      this.spec.segments.findLastIndex(
        ({ input, ops, output }) => input !== null || ops.length > 0 || output !== null,
      ) === segment
    );
  }

  private get lastLayer(): string {
    return this.spec.segments.flatMap(({ ops }) => ops).at(-1)?.layer ?? '';
  }

  private get range(): string {
    const names = [...new Set(this.spec.segments.flatMap(({ ops }) => ops.map(({ layer }) => layer)))];
    return names.length <= 1 ? `layer ${names[0] ?? ''}` : `layers ${names[0]} to ${names[names.length - 1]}`;
  }

  private at(micro: number): string {
    return `micro-batch ${micro} at ${this.range}`;
  }

  private get held(): Tensor2D[] {
    return [
      ...this.layers.flatMap((layer) => layer.tensors),
      ...this.ops.flat().flatMap(tensorsOf),
      ...this.training.tensors,
      ...this.evaluating.tensors,
      ...this.scores.tensors,
      ...(this.head?.tensors ?? []),
    ];
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

  private upload(input: Uint8Array | Float32Array, register: number, rows: number): Tensor2D {
    const numbers = input instanceof Uint8Array ? this.normaliser!.apply(input) : input;
    return this.matrix(register, rows, numbers);
  }

  private matrix(register: number, rows: number, numbers: Float32Array): Tensor2D {
    return tensor2d(numbers, matrixOf(this.spec.registers[register], rows));
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
    for (const layer of this.layers) for (const parameter of layer.parameters) parameter.forgetSums();
  }
}

/** A copy: on the CPU the array read is the tensor's own, on WebGL the backend caches it; callers give theirs away. */
const readBack = (tensor: Tensor2D): Float32Array => tensor.dataSync<'float32'>().slice();
