import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BackwardTask, BlockSpec, ForwardResult, ForwardTask } from '../ports/compute.ts';
import { logitsOf, type BlockPlan } from './block-plan.ts';
import type { HeldOp } from './held-op.ts';
import type { Flight, InFlight } from './in-flight.ts';
import { keepingOf, type Keeping } from './keeping.ts';
import type { Kernels } from './kernels/index.ts';
import type { LossHead } from './loss.ts';
import { matrixOf, registerWidth } from './matrix.ts';
import { Normaliser } from './normaliser.ts';
import type { Kept, LearnedFrom, WeightWork } from './ops/op.ts';
import { addGradients } from './ops/unitwise.ts';
import type { Scores } from './scores.ts';

/** What a block computes with. */
export interface PassContext {
  kernels: Kernels;
  spec: BlockSpec;
  plan: BlockPlan;
  /** Per segment. */
  ops: readonly (readonly HeldOp[])[];
  head: LossHead | null;
  scores: Scores;
}

/** A micro-batch's way through the ops of a segment, forward and back. Tasks have been checked before. */
export class Passes {
  private readonly normaliser: Normaliser | null;
  private readonly keeping: Keeping;
  private readonly keepingMeasured: Keeping;

  constructor(private readonly context: PassContext) {
    const { spec, ops } = context;
    this.normaliser = spec.input.kind === 'samples' ? new Normaliser(spec.input.normalisation) : null;
    this.keeping = keepingOf(ops, false);
    this.keepingMeasured = keepingOf(ops, true);
  }

  /** Runs the ops of a segment on what came in. What they make goes to `draft`; what earlier segments left in `flight` stays. */
  forward(flight: Flight, draft: Flight, flights: InFlight, task: ForwardTask): ForwardResult {
    const { segment, training } = task;
    const { input, output } = this.context.spec.segments[segment];
    const ops = this.context.ops[segment];
    if (input !== null && task.input) draft.registers.set(input, this.upload(task.input, input, task.rows));
    ops.forEach((op, i) => {
      const inputs = op.inputs.map((register) => registerOf(flight, draft, register));
      const { output: made, extras } = op.running.forward(inputs, flight.pass);
      draft.registers.set(op.output, made);
      if (extras && training) draft.extras.set(`${segment}/${i}`, extras);
      else extras?.forEach((tensor) => tensor.dispose());
      flights.note(draft.tensors);
      const readLater = ops.slice(i + 1).flatMap((later) => later.inputs);
      for (const register of op.inputs) {
        const isRead = register === output || readLater.includes(register);
        if (!isRead && !this.outlives(draft, register, segment)) draft.drop(register);
      }
    });
    const result = this.leave(flight, draft, task);
    flights.note(draft.tensors);
    return result;
  }

  /** The pass succeeded: what it made is the micro-batch's, what nobody reads any more goes. */
  keep(flight: Flight, draft: Flight, segment: number): void {
    flight.take(draft);
    for (const register of [...flight.registers.keys()]) {
      if (!this.outlives(flight, register, segment)) flight.drop(register);
    }
  }

  /** The gradient of the segment's input register; null where none is wanted. */
  backward(flight: Flight, { segment, gradient, defer = false }: BackwardTask): Float32Array | null {
    const { output, input } = this.context.spec.segments[segment];
    if (defer) flight.pending.set(segment, []);
    if (output !== null && gradient)
      this.addGradient(flight, output, this.matrix(output, flight.pass.rows, gradient));
    for (let i = this.context.ops[segment].length - 1; i >= 0; i--) this.backOver(flight, segment, i);
    return input !== null && !this.isSamples(input) ? this.takeGradient(flight, input) : null;
  }

  /** What the backward of a segment deferred, in each of some micro-batches: of each op for all of them at once. */
  weights(flights: readonly Flight[], segment: number): void {
    const alike = new Map<string, { add: WeightWork['add']; works: LearnedFrom[] }>();
    for (const { pending, registers } of flights) {
      for (const { key, add, tensors, register } of pending.get(segment) ?? []) {
        const input = register === null ? null : registers.get(register)!;
        const known = alike.get(key);
        if (known) known.works.push({ tensors, input });
        else alike.set(key, { add, works: [{ tensors, input }] });
      }
    }
    for (const { add, works } of alike.values()) add(works);
    for (const flight of flights) flight.settle(segment);
  }

  /** What leaves a segment: the numbers of its output register, or at the head the loss. */
  private leave(flight: Flight, draft: Flight, { segment, labels }: ForwardTask): ForwardResult {
    const { spec, head, kernels } = this.context;
    const { output } = spec.segments[segment];
    if (output !== null) return { output: kernels.download(registerOf(flight, draft, output)) };
    const register = logitsOf(spec, segment);
    if (!head || !labels || register === null) return {};
    const logits = registerOf(flight, draft, register);
    if (!flight.pass.training) return { metrics: head.evaluate(logits, labels) };
    this.addGradient(draft, register, head.train(logits, labels, flight.pass.step));
    return {};
  }

  /** True where the forward of a later segment reads a register, or a backward. */
  private outlives({ pass, measure }: Flight, register: number, segment: number): boolean {
    if (this.context.plan.lastReader[register] > segment) return true;
    return pass.training && this.keepingOf(measure).kept.has(register);
  }

  private keepingOf(measure: boolean): Keeping {
    return measure ? this.keepingMeasured : this.keeping;
  }

  private backOver(flight: Flight, segment: number, i: number): void {
    const { running, inputs, output, measures } = this.context.ops[segment][i];
    const gradient = flight.gradients.get(output);
    // Nothing came back for it: nobody used it.
    if (!gradient) return;
    flight.gradients.delete(output);
    if (measures && flight.measure)
      this.context.scores.add(output, flight.registers.get(output)!, gradient, flight.pass.rows);
    const key = `${segment}/${i}`;
    const frees = this.keepingOf(flight.measure).frees[segment][i];
    const pending = flight.pending.get(segment);
    const spent: Tensor2D[] = [];
    const kept: Kept = {
      inputs: inputs.map((register) => (running.keeps.input ? flight.registers.get(register)! : null)),
      output: running.keeps.output ? flight.registers.get(output)! : null,
      extras: flight.extras.get(key) ?? [],
      release: () => frees.forEach((register) => flight.drop(register)),
      learn: (work) => {
        const register = work.readsInput ? inputs[0] : null;
        if (pending) {
          pending.push({ ...work, key: `${i}/${pending.length}`, register });
        } else {
          const input = register === null ? null : flight.registers.get(register)!;
          work.add([{ tensors: work.tensors, input }]);
          spent.push(...work.tensors);
        }
      },
    };
    flight.extras.delete(key);
    const wanted = inputs.some((register) => !this.isSamples(register));
    const results = running.backward(kept, gradient, wanted, flight.pass);
    spent.forEach((tensor) => tensor.dispose());
    results.forEach((result, k) => {
      if (!result) return;
      if (this.isSamples(inputs[k])) result.dispose();
      else this.addGradient(flight, inputs[k], result);
    });
    kept.release();
  }

  private addGradient(flight: Flight, register: number, gradient: Tensor2D): void {
    const sum = flight.gradients.get(register);
    flight.gradients.set(register, sum ? addGradients(this.context, sum, gradient) : gradient);
  }

  /** The gradient of a segment's input register, zeros where none came. */
  private takeGradient(flight: Flight, register: number): Float32Array {
    const gradient = flight.gradients.get(register);
    flight.gradients.delete(register);
    const { spec, kernels } = this.context;
    const { registers } = spec;
    if (!gradient) return new Float32Array(flight.pass.rows * registerWidth(registers[register]));
    const result = kernels.download(gradient);
    gradient.dispose();
    return result;
  }

  /** True for the register that holds samples: it has no gradient. */
  private isSamples(register: number): boolean {
    return this.normaliser !== null && register === this.context.spec.segments[0].input;
  }

  private upload(input: Uint8Array | Float32Array, register: number, rows: number): Tensor2D {
    const numbers = input instanceof Uint8Array ? this.normaliser!.apply(input) : input;
    return this.matrix(register, rows, numbers);
  }

  private matrix(register: number, rows: number, numbers: Float32Array): Tensor2D {
    const { spec, kernels } = this.context;
    return kernels.upload(numbers, ...matrixOf(spec.registers[register], rows));
  }
}

const registerOf = (flight: Flight, draft: Flight, register: number): Tensor2D =>
  draft.registers.get(register) ?? flight.registers.get(register)!;
