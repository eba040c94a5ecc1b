import type { Tensor2D } from '@tensorflow/tfjs-core';

/** What one micro-batch leaves behind between its forward and its backward. */
export interface Flight {
  rows: number;
  /** Input of each layer; the input of a layer is the output of the one before. */
  inputs: Tensor2D[];
  /** Output of the last layer, where its backward reads it. */
  output: Tensor2D | null;
  /** dLoss/dLogits, at the head. */
  gradient: Tensor2D | null;
}

const tensorsOf = (flight: Flight): Tensor2D[] =>
  [...flight.inputs, flight.output, flight.gradient].filter((tensor) => tensor !== null);

export function disposeFlight(flight: Flight): void {
  for (const tensor of tensorsOf(flight)) tensor.dispose();
}

/** The micro-batches between forward and backward, and the most bytes that they held at once. */
export class InFlight {
  mostBytes = 0;
  private readonly flights = new Map<number, Flight>();

  has(micro: number): boolean {
    return this.flights.has(micro);
  }

  get(micro: number): Flight | undefined {
    return this.flights.get(micro);
  }

  add(micro: number, flight: Flight): void {
    this.flights.set(micro, flight);
    const bytes = this.tensors.reduce((sum, tensor) => sum + tensor.size * 4, 0);
    this.mostBytes = Math.max(this.mostBytes, bytes);
  }

  /** Two activations that exist together on the way through an evaluation. */
  notePassing(input: Tensor2D, output: Tensor2D): void {
    this.mostBytes = Math.max(this.mostBytes, (input.size + output.size) * 4);
  }

  /** Forgets a micro-batch; its tensors are the caller's. */
  take(micro: number): void {
    this.flights.delete(micro);
  }

  get tensors(): Tensor2D[] {
    return [...this.flights.values()].flatMap(tensorsOf);
  }

  forget(): void {
    for (const flight of this.flights.values()) disposeFlight(flight);
    this.flights.clear();
  }
}
