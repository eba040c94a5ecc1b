import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { NamedArray } from '../ports/compute.ts';
import type { Kernels } from './kernels/index.ts';
import { freshState, type Optimizer, type Slot, type UpdateContext } from './optimizers.ts';

/** One parameter on the device with its gradient sum and optimizer state, in tiles (see `Kernels`). */
export class Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Rows of each tile. */
  readonly tileRows: readonly number[];
  readonly bytes: number;
  /** Gradient sums per tile since the last step; null until the first backward. */
  readonly sums: (Tensor2D | null)[];
  private readonly optimizer: Optimizer;
  private readonly slots: Slot[];

  /** `state`: the optimizer's arrays by name, or none of them for zeros. */
  constructor(
    kernels: Kernels,
    optimizer: Optimizer,
    value: NamedArray,
    state: ReadonlyMap<string, Float32Array>,
  ) {
    this.name = value.name;
    this.shape = value.shape;
    this.optimizer = optimizer;
    this.bytes = value.data.byteLength;
    const columns = value.shape[value.shape.length - 1];
    this.tileRows = kernels.tileRows(value.data.length / columns, columns);
    this.sums = this.tileRows.map(() => null);
    let from = 0;
    this.slots = this.tileRows.map((rows) => {
      const to = from + rows * columns;
      // A copy: the CPU backend trains in the very array that it is given.
      const tile = (data: Float32Array): Tensor2D => tensor2d(data.slice(from, to), [rows, columns]);
      const given = optimizer.state.map((name) => state.get(name));
      const slot: Slot = {
        value: tile(value.data),
        state: given.every((data) => data !== undefined)
          ? given.map(tile)
          : freshState(optimizer, rows, columns),
      };
      from = to;
      return slot;
    });
  }

  /** [rows, columns] each; a bias has one row. */
  get tiles(): Tensor2D[] {
    return this.slots.map((slot) => slot.value);
  }

  /** Everything that this parameter holds on the device. */
  get tensors(): Tensor2D[] {
    return [...this.slots.flatMap((slot) => [slot.value, ...slot.state]), ...this.sums].filter(
      (t) => t !== null,
    );
  }

  /** Applies the gradient sums and forgets them; a tile without one stays as it is. */
  update(context: UpdateContext): void {
    this.slots.forEach((slot, i) => {
      const sum = this.sums[i];
      if (!sum) return;
      this.sums[i] = null;
      this.optimizer.update(slot, sum, context);
    });
  }

  forgetSums(): void {
    this.sums.forEach((sum) => sum?.dispose());
    this.sums.fill(null);
  }

  read(): NamedArray {
    return this.join(this.name, this.tiles);
  }

  readState(): NamedArray[] {
    return this.optimizer.state.map((name, i) =>
      this.join(
        `${this.name}:${name}`,
        this.slots.map((slot) => slot.state[i]),
      ),
    );
  }

  dispose(): void {
    for (const tensor of this.tensors) tensor.dispose();
  }

  private join(name: string, tiles: readonly Tensor2D[]): NamedArray {
    const data = new Float32Array(this.bytes / 4);
    let at = 0;
    for (const tile of tiles) {
      data.set(tile.dataSync<'float32'>(), at);
      at += tile.size;
    }
    return { name, shape: [...this.shape], data };
  }
}
