import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { Pass } from './ops/index.ts';

/** What one micro-batch leaves behind between its passes. */
export class Flight {
  /** By register: what later segments or the backward still read. */
  readonly registers = new Map<number, Tensor2D>();
  /** By register: dLoss/dRegister, as far as it has come. */
  readonly gradients = new Map<number, Tensor2D>();
  /** By op: what its forward put aside. */
  readonly extras = new Map<string, readonly Tensor2D[]>();
  /** How many of its passes have run. */
  passesRun = 0;

  constructor(
    readonly pass: Pass,
    readonly measure: boolean,
  ) {}

  get tensors(): Tensor2D[] {
    return [...this.registers.values(), ...this.gradients.values(), ...[...this.extras.values()].flat()];
  }

  /** What a pass of its own has made. */
  take({ registers, gradients, extras }: Flight): void {
    for (const [register, tensor] of registers) this.registers.set(register, tensor);
    for (const [register, tensor] of gradients) this.gradients.set(register, tensor);
    for (const [op, tensors] of extras) this.extras.set(op, tensors);
  }

  /** Lets go of a register's numbers. */
  drop(register: number): void {
    this.registers.get(register)?.dispose();
    this.registers.delete(register);
  }

  dispose(): void {
    for (const tensor of this.tensors) tensor.dispose();
    this.registers.clear();
    this.gradients.clear();
    this.extras.clear();
  }
}

/** The micro-batches between their first and last pass, and the most bytes that they held at once. */
export class InFlight {
  mostBytes = 0;
  private readonly flights = new Map<number, Flight>();

  get(micro: number): Flight | undefined {
    return this.flights.get(micro);
  }

  /** What flew under this number before, goes. */
  put(micro: number, flight: Flight): void {
    if (this.flights.get(micro) !== flight) this.remove(micro);
    this.flights.set(micro, flight);
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

  remove(micro: number): void {
    this.flights.get(micro)?.dispose();
    this.flights.delete(micro);
  }

  get tensors(): Tensor2D[] {
    return [...this.flights.values()].flatMap((flight) => flight.tensors);
  }

  forget(): void {
    for (const flight of this.flights.values()) flight.dispose();
    this.flights.clear();
  }
}
