import { tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import type { NamedArray } from '../ports/compute.ts';
import type { Kernels } from './kernels/index.ts';
import { freshState, type Optimizer, type Slot, type UpdateContext } from './optimizers.ts';
import type { ParameterStart } from './starting-point.ts';

/** One parameter on the device with its gradient sum and optimizer state, in tiles (see `Kernels`). */
export class Parameter {
  readonly name: string;
  readonly bytes: number;
  /** False for moving statistics, which change by `next` alone. */
  readonly trainable: boolean;
  /** Rows of each tile. */
  readonly tileRows: readonly number[];
  /** Gradient sums per tile since the last step; null until the first backward. */
  readonly sums: (Tensor2D | null)[];
  /** What the value is after the next step, where no optimizer decides that. */
  next: Tensor2D | null = null;
  /** By version: the tiles of those that are still used. */
  private readonly older = new Map<number, Tensor2D[]>();
  private readonly optimizer: Optimizer;
  private readonly slots: Slot[];
  private readonly piece: Pick<NamedArray, 'shape' | 'entries'>;

  constructor(kernels: Kernels, optimizer: Optimizer, { value, trainable, state }: ParameterStart) {
    this.name = value.name;
    this.piece = { shape: value.shape, entries: value.entries };
    this.trainable = trainable;
    this.optimizer = trainable ? optimizer : { ...optimizer, state: [] };
    this.bytes = value.data.byteLength;
    const columns = columnsOf(value);
    const rows = value.data.length / columns;
    // Those of convolutions are small beside what passes through them.
    this.tileRows = value.shape.length > 2 ? [rows] : kernels.tileRows(rows, columns);
    this.sums = this.tileRows.map(() => null);
    let from = 0;
    this.slots = this.tileRows.map((tileRows) => {
      const to = from + tileRows * columns;
      // A copy: the CPU backend trains in the very array that it is given.
      const tile = (data: Float32Array): Tensor2D => tensor2d(data.slice(from, to), [tileRows, columns]);
      const given = this.optimizer.state.map((name) => state.get(name));
      const slot: Slot = {
        value: tile(value.data),
        state: given.every((data) => data !== undefined)
          ? given.map(tile)
          : freshState(this.optimizer, tileRows, columns),
      };
      from = to;
      return slot;
    });
  }

  /** [rows, columns] each; a bias has one row. */
  get tiles(): Tensor2D[] {
    return this.slots.map((slot) => slot.value);
  }

  /** A parameter of one tile. */
  get value(): Tensor2D {
    return this.slots[0].value;
  }

  /** The tiles as they were in an older version, where that is kept; otherwise as they are. */
  tilesOf(version: number): Tensor2D[] {
    return this.older.get(version) ?? this.tiles;
  }

  /** The tiles as they are outlive the updates to come, until `forgetBefore`. */
  keepAs(version: number): void {
    if (this.trainable) this.older.set(version, this.tiles);
  }

  forgetBefore(version: number): void {
    for (const [known, tiles] of this.older) {
      if (known >= version) continue;
      this.older.delete(known);
      // A tile that has not learned since is in newer versions, too.
      for (const tile of tiles) if (!this.tiles.includes(tile) && !this.isKept(tile)) tile.dispose();
    }
  }

  /** Versions that are here besides the newest. */
  get olderCount(): number {
    return this.older.size;
  }

  get stateBytes(): number {
    return this.optimizer.state.length * this.bytes;
  }

  /** Everything that this parameter holds on the device. */
  get tensors(): Tensor2D[] {
    const slots = this.slots.flatMap((slot) => [slot.value, ...slot.state]);
    return [...slots, ...[...this.older.values()].flat(), ...this.sums, this.next].filter(
      (tensor) => tensor !== null,
    );
  }

  /** Applies the gradient sums and forgets them; a tile without one stays as it is. */
  update(context: UpdateContext): void {
    if (this.next) {
      this.slots[0].value.dispose();
      this.slots[0].value = this.next;
      this.next = null;
    }
    this.slots.forEach((slot, i) => {
      const sum = this.sums[i];
      if (!sum) return;
      this.sums[i] = null;
      // Optimizers use the array up.
      if (this.isKept(slot.value)) slot.value = context.kernels.copy(slot.value);
      this.optimizer.update(slot, sum, context);
    });
  }

  forgetSums(): void {
    this.sums.forEach((sum) => sum?.dispose());
    this.sums.fill(null);
    this.next?.dispose();
    this.next = null;
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

  private isKept(tile: Tensor2D): boolean {
    return [...this.older.values()].some((tiles) => tiles.includes(tile));
  }

  private join(name: string, tiles: readonly Tensor2D[]): NamedArray {
    const data = new Float32Array(this.bytes / 4);
    let at = 0;
    for (const tile of tiles) {
      data.set(tile.dataSync<'float32'>(), at);
      at += tile.size;
    }
    const { shape, entries } = this.piece;
    return { name, shape: [...shape], data, ...(entries && { entries }) };
  }
}

/** A depthwise kernel lies in one row, as its gradient does; others have a column for each unit that they lead to. */
const columnsOf = ({ name, shape, data }: NamedArray): number =>
  name.endsWith('/depthwise_kernel') ? data.length : shape[shape.length - 1];
