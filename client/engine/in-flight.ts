import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Pass, WeightWork } from './ops/index.ts';

/** What the parameters of an op are still to learn from a micro-batch. */
export interface PendingWork extends WeightWork {
  /** The op's place in its segment, and which of its works this is. */
  key: string;
  /** The one that it reads. */
  register: number | null;
}

/** What one micro-batch leaves behind between its passes. */
export class Flight {
  /** By register: what later segments or the backward still read. */
  readonly registers = new Map<number, Tensor2D>();
  /** By register: dLoss/dRegister, as far as it has come. */
  readonly gradients = new Map<number, Tensor2D>();
  /** By op: what its forward put aside. */
  readonly extras = new Map<string, readonly Tensor2D[]>();
  /** By segment: what its backward deferred. */
  readonly pending = new Map<number, PendingWork[]>();
  /** How many of its passes have run. */
  passesRun = 0;
  /** Registers that only pending work reads. */
  private readonly overdue = new Set<number>();

  constructor(
    readonly pass: Pass,
    readonly measure: boolean,
  ) {}

  get tensors(): Tensor2D[] {
    const pending = [...this.pending.values()].flat().flatMap(({ tensors }) => tensors);
    return [
      ...this.registers.values(),
      ...this.gradients.values(),
      ...[...this.extras.values()].flat(),
      ...pending,
    ];
  }

  /** What a pass of its own has made. */
  take({ registers, gradients, extras }: Flight): void {
    for (const [register, tensor] of registers) this.registers.set(register, tensor);
    for (const [register, tensor] of gradients) this.gradients.set(register, tensor);
    for (const [op, tensors] of extras) this.extras.set(op, tensors);
  }

  /** Lets go of a register's numbers, at once or when the work that reads them is done. */
  drop(register: number): void {
    if (this.isPending(register)) {
      this.overdue.add(register);
      return;
    }
    this.registers.get(register)?.dispose();
    this.registers.delete(register);
  }

  /** The pending work of a segment is done. */
  settle(segment: number): void {
    for (const { tensors } of this.pending.get(segment) ?? []) tensors.forEach((tensor) => tensor.dispose());
    this.pending.delete(segment);
    for (const register of this.overdue) {
      if (this.isPending(register)) continue;
      this.overdue.delete(register);
      this.drop(register);
    }
  }

  dispose(): void {
    for (const tensor of this.tensors) tensor.dispose();
    this.registers.clear();
    this.gradients.clear();
    this.extras.clear();
    this.pending.clear();
  }

  private isPending(register: number): boolean {
    return [...this.pending.values()].some((works) => works.some((work) => work.register === register));
  }
}

/** The micro-batches between their first pass and their last work, and the most bytes that they held at once. */
export class InFlight {
  mostBytes = 0;
  /** In the order in which they began. */
  private flights: { micro: number; flight: Flight }[] = [];

  /** The oldest one under this number that fits. */
  get(micro: number, fits: (flight: Flight) => boolean = () => true): Flight | undefined {
    return this.flights.find((known) => known.micro === micro && fits(known.flight))?.flight;
  }

  add(micro: number, flight: Flight): void {
    this.flights.push({ micro, flight });
  }

  /** Every one that there is. */
  get all(): Flight[] {
    return this.flights.map(({ flight }) => flight);
  }

  /** The numbers of those with pending work of a step; null: of any. */
  pendingOf(step: number | null): number[] {
    return this.flights
      .filter(({ flight }) => flight.pending.size > 0 && (step === null || flight.pass.step === step))
      .map(({ micro }) => micro);
  }

  /** `passing`: tensors that exist besides at this moment. */
  note(passing: readonly Tensor2D[]): void {
    const counted = new Set<object>();
    let bytes = 0;
    for (const tensor of [...this.tensors, ...passing]) {
      // Several handles on one array of numbers count once.
      if (counted.has(tensor.dataId)) continue;
      counted.add(tensor.dataId);
      bytes += tensor.size * 4;
    }
    this.mostBytes = Math.max(this.mostBytes, bytes);
  }

  remove(flight: Flight): void {
    flight.dispose();
    this.flights = this.flights.filter((known) => known.flight !== flight);
  }

  get tensors(): Tensor2D[] {
    return this.flights.flatMap(({ flight }) => flight.tensors);
  }

  forget(): void {
    for (const { flight } of this.flights) flight.dispose();
    this.flights = [];
  }
}
