import { engine, slice, tidy, type Tensor2D } from '@tensorflow/tfjs-core';
import type {
  BackwardResult,
  BackwardTask,
  BlockSpec,
  ForwardResult,
  ForwardTask,
  Importance,
  LayerState,
  MemoryUse,
  SkipTask,
  StepResult,
  StepTask,
  WeightsTask,
} from '../ports/compute.ts';
import { planBlock } from './block-plan.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { checkForward } from './check-forward.ts';
import { HeldLayer } from './held-layer.ts';
import { holdOp, tensorsOf, type HeldOp } from './held-op.ts';
import { Flight, InFlight } from './in-flight.ts';
import type { Kernels } from './kernels/index.ts';
import { LossHead } from './loss.ts';
import { registerWidth } from './matrix.ts';
import { MemoryMeter } from './memory-meter.ts';
import { PassOrder } from './pass-order.ts';
import { Passes } from './passes.ts';
import { Scores } from './scores.ts';
import type { LayerStart } from './starting-point.ts';

/**
 * What one device holds of the model, on tfjs tensors: ops on registers, segment by segment. All methods are synchronous and check
 * before they touch anything: a call that throws leaves the block as it was. (Should the device itself fail half-way through the
 * sums of a backward, steps are refused until `abandon`; half-way through an update, until the block is loaded anew.)
 */
export class Block {
  private readonly spec: BlockSpec;
  private readonly order: PassOrder;
  private readonly kernels: Kernels;
  private readonly meter = new MemoryMeter();
  private readonly training = new InFlight();
  private readonly evaluating = new InFlight();
  private readonly layers: readonly HeldLayer[];
  /** Per segment. */
  private readonly ops: HeldOp[][] = [];
  private readonly passes: Passes;
  private readonly head: LossHead | null;
  private readonly scores: Scores;
  /** Steps since it was made: the version of the weights. */
  private version = 0;
  /** How many older versions forwards may ask for. */
  private keeps = 0;
  private mostOlderBytes = 0;
  /** Why the gradient sums, or for good the weights, cannot be trusted. */
  private spoiled: { reason: string; forGood: boolean } | null = null;

  /** `starts` as `startingPoint` gives them. */
  constructor(kernels: Kernels, spec: BlockSpec, starts: readonly LayerStart[]) {
    this.spec = spec;
    this.order = new PassOrder(spec.segments);
    this.kernels = kernels;
    this.head = spec.head ? new LossHead(kernels) : null;
    this.scores = new Scores(kernels, spec.registers);
    const plan = planBlock(spec);
    const layers: HeldLayer[] = [];
    this.layers = layers;
    this.run(() => {
      for (const start of starts) layers.push(new HeldLayer(kernels, spec, start));
      for (const fused of plan.segments) {
        const held: HeldOp[] = [];
        this.ops.push(held);
        for (const op of fused) held.push(holdOp(kernels, spec, op, layers));
      }
    });
    const { ops, head, scores } = this;
    this.passes = new Passes({ kernels, spec, plan, ops, head, scores });
  }

  forward(task: ForwardTask): ForwardResult {
    this.refuseSpoiled(true);
    const { segment, micro, rows, step, training, age = 0 } = task;
    const flights = training ? this.training : this.evaluating;
    const known = flights.get(micro, ({ pass }) => pass.step === step);
    // An evaluation that was cut short may begin anew.
    const found = training || !this.order.isFirst(segment) ? known : undefined;
    const where = this.at(micro);
    this.order.assertForward(segment, found?.passesRun ?? 0, where);
    checkForward(this.spec, task, where);
    assertCount(age, 0, `The age of the weights for ${where}`);
    if (age > this.keeps)
      throw new Error(`Forward of ${where} came for weights of ${age} steps ago, which are not kept.`);
    if (found && found.pass.rows !== rows)
      throw new Error(`Forward of ${where} came with ${rows} rows after ${found.pass.rows}.`);
    return this.run(() => {
      const version = this.version - age;
      const pass = { rows, step, training, firstSample: micro * this.spec.rows, version };
      const flight = found ?? new Flight(pass, task.measure ?? false);
      const draft = new Flight(flight.pass, flight.measure);
      const result = this.passes.forward(flight, draft, flights, task);
      if (result.output) assertFinite(result.output, `Output of ${where}`);
      this.passes.keep(flight, draft, segment);
      flight.passesRun++;
      if (known && known !== flight) flights.remove(known);
      if (!found) flights.add(micro, flight);
      if (this.order.isOver(flight.passesRun, training)) flights.remove(flight);
      return result;
    });
  }

  backward(task: BackwardTask): BackwardResult {
    this.refuseSpoiled(false);
    const { segment, micro, step, gradient } = task;
    const where = this.at(micro);
    const isOf = ({ pass }: Flight) => step === undefined || pass.step === step;
    const found =
      this.training.get(micro, (flight) => isOf(flight) && !this.order.isOver(flight.passesRun, true)) ??
      this.training.get(micro, isOf);
    this.order.assertBackward(segment, found?.passesRun ?? 0, where);
    const flight = found!;
    const { output } = this.spec.segments[segment];
    if (output !== null) {
      if (!gradient) throw new Error(`Backward of ${where} came without a gradient.`);
      const numbers = flight.pass.rows * registerWidth(this.spec.registers[output]);
      assertLength(gradient, numbers, `Gradient of ${where}`);
      assertFinite(gradient, `Gradient of ${where}`);
    }
    return this.run(() => {
      this.spoiled = { reason: `Backward of ${where} failed: abandon the step.`, forGood: false };
      const result = this.passes.backward(flight, task);
      flight.passesRun++;
      if (task.defer) this.training.note([]);
      this.end(flight);
      if (result) assertFinite(result, `Input gradient of ${where}`);
      this.spoiled = null;
      return result ? { gradient: result } : {};
    });
  }

  /** Adds what backward passes deferred to the gradient sums. */
  weights({ segment, micros, step }: WeightsTask): void {
    this.refuseSpoiled(false);
    const flights = micros.map((micro) => {
      const flight = this.training.get(
        micro,
        ({ pending, pass }) => pending.has(segment) && (step === undefined || pass.step === step),
      );
      if (flight) return flight;
      throw new Error(`No weight gradients of segment ${segment} of ${this.at(micro)} are pending.`);
    });
    this.run(() => {
      const where = micros.map((micro) => this.at(micro)).join(' and ');
      this.spoiled = { reason: `Weight gradients of ${where} failed: abandon the step.`, forGood: false };
      this.passes.weights(flights, segment);
      for (const flight of flights) this.end(flight);
      this.spoiled = null;
    });
  }

  /** Leaves out what is still to come of a micro-batch from a segment on; where nothing of it has run, there is nothing to do. */
  skip({ step, micro, segment }: SkipTask): void {
    this.refuseSpoiled(false);
    const flight = this.training.get(micro, ({ pass }) => pass.step === step);
    if (!flight) return;
    this.run(() => {
      flight.passesRun = Math.max(
        flight.passesRun,
        this.order.passesWithout(segment, `micro-batch ${micro}`),
      );
      for (const pending of [...flight.pending.keys()]) if (pending >= segment) flight.settle(pending);
      this.end(flight);
    });
  }

  step(task: StepTask): StepResult {
    const { counted, learningRate, keeps = 0 } = task;
    const step = task.step ?? null;
    assertCount(counted, 0, 'The number of micro-batches counted in a step');
    assertCount(keeps, 0, 'The number of versions kept');
    if (!Number.isFinite(learningRate)) throw new Error(`The learning rate ${learningRate} is not a number.`);
    this.refuseSpoiled(false);
    const pending = this.training.pendingOf(step).at(0);
    if (pending !== undefined)
      throw new Error(`The step came before the weight gradients of ${this.at(pending)} were summed.`);
    return this.run(() => {
      const metrics = this.head?.read(step);
      if (metrics && !Number.isFinite(metrics.lossSum)) {
        throw new Error(
          `The loss after layer ${this.lastLayer} is not finite (${metrics.lossSum}); the step was not applied.`,
        );
      }
      const isUsed = this.training.all.some((flight) => this.needs(flight, this.version));
      for (const { parameters } of keeps > 0 || isUsed ? this.layers : [])
        for (const parameter of parameters) parameter.keepAs(this.version);
      if (counted > 0) this.update(learningRate, 1 / counted);
      this.version++;
      this.keeps = keeps;
      this.forgetVersions();
      this.forgetStep(step);
      return metrics ? { metrics } : {};
    });
  }

  /** Waits until the device has done what it was given. */
  settle(): void {
    for (const layer of this.layers) {
      for (const { sums } of layer.parameters)
        for (const sum of sums) if (sum) tidy(() => slice(sum, [0, 0], [1, 1]).dataSync());
    }
  }

  /** Forgets micro-batches in flight and what was summed since the last step. */
  abandon(): void {
    if (this.spoiled && !this.spoiled.forGood) this.spoiled = null;
    this.run(() => {
      this.training.forget();
      this.evaluating.forget();
      this.keeps = 0;
      this.forgetVersions();
      this.forgetStep(null);
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
        parametersBytes: sum((parameter) => parameter.bytes) + this.mostOlderBytes,
        gradientsBytes: sum((parameter) => (parameter.trainable ? parameter.bytes : 0)),
        optimizerBytes: sum((parameter) => parameter.stateBytes),
        activationsBytes: Math.max(this.training.mostBytes, this.evaluating.mostBytes),
      },
    };
  }

  dispose(): void {
    this.meter.measure(() => this.held.forEach((tensor) => tensor.dispose()));
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

  private update(learningRate: number, scale: number): void {
    this.spoiled = {
      reason: `An update of ${this.range} was cut short: load the block anew.`,
      forGood: true,
    };
    for (const layer of this.layers) layer.update(this.kernels, learningRate, scale);
    this.spoiled = null;
  }

  /** A flight ends with its last backward, or with the last of what was deferred. */
  private end(flight: Flight): void {
    if (!this.order.isOver(flight.passesRun, true)) return;
    if (flight.pending.size === 0) this.training.remove(flight);
    this.forgetVersions();
  }

  /** Weights are read until the last backward; what is pending needs none. */
  private needs({ pass, passesRun }: Flight, version: number): boolean {
    return pass.version === version && !this.order.isOver(passesRun, true);
  }

  private forgetVersions(): void {
    let oldest = this.version - this.keeps;
    for (const flight of this.training.all)
      if (this.needs(flight, flight.pass.version)) oldest = Math.min(oldest, flight.pass.version);
    let bytes = 0;
    for (const parameter of this.layers.flatMap(({ parameters }) => parameters)) {
      parameter.forgetBefore(oldest);
      bytes += parameter.olderCount * parameter.bytes;
    }
    this.mostOlderBytes = Math.max(this.mostOlderBytes, bytes);
  }

  private forgetStep(step: number | null): void {
    this.head?.forget(step);
    for (const layer of this.layers) for (const parameter of layer.parameters) parameter.forgetSums();
  }
}
