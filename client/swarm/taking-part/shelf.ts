import { decode, encode } from '@msgpack/msgpack';
import * as v from 'valibot';
import { LIMITS } from '../../../shared/limits.ts';
import { complaint, name, whole } from '../../../shared/schema/common.ts';
import type { Holding } from '../../../shared/schema/control.ts';
import { sizeOf, type ParameterShape } from '../../model/graph.ts';
import { pieceShape, type Entries } from '../../model/pieces.ts';
import type { LayerState, NamedArray } from '../../ports/compute.ts';

/** Whose piece of a layer a state is. */
export type Origin = Pick<Holding, 'version' | 'stage' | 'lane'>;

interface Kept {
  state: LayerState;
  stepsDone: number;
  origin: Origin;
}

/** Pieces of layers on their way from one plan to the next: read from the block, handed to whoever takes them over. */
export class Shelf {
  readonly #layers = new Map<string, Kept>();

  /** `stepsDone`: the steps of the run that this state has seen. */
  put(state: LayerState, stepsDone: number, origin: Origin): void {
    if (numbersIn(state) > 0) this.#layers.set(state.layer, { state, stepsDone, origin });
  }

  get(layer: string): LayerState | undefined {
    return this.#layers.get(layer)?.state;
  }

  /** True where what is here is at least that new. */
  has(layer: string, stepsDone: number): boolean {
    return (this.#layers.get(layer)?.stepsDone ?? -1) >= stepsDone;
  }

  list(): Holding[] {
    return [...this.#layers].map(([layer, { state, stepsDone, origin }]) => ({
      layer,
      stepsDone,
      ...origin,
      numbers: numbersIn(state),
    }));
  }

  clear(): void {
    this.#layers.clear();
  }
}

const numbersIn = ({ parameters }: LayerState): number =>
  parameters.reduce((sum, { data }) => sum + data.length, 0);

const ArraySchema = v.strictObject({
  name: name(LIMITS.run.layerNameChars + 32),
  shape: v.pipe(v.array(whole(0, LIMITS.run.parameters)), v.maxLength(4)),
  bytes: v.instance(Uint8Array),
  /** Per dimension: which entries of the whole array, 32-bit little-endian; null: all. */
  entries: v.pipe(v.array(v.nullable(v.instance(Uint8Array))), v.maxLength(4)),
});
const StateSchema = v.strictObject({
  layer: name(LIMITS.run.layerNameChars),
  updates: whole(0, LIMITS.run.steps),
  parameters: v.pipe(v.array(ArraySchema), v.maxLength(8)),
  optimizer: v.pipe(v.array(ArraySchema), v.maxLength(16)),
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

export function encodeLayer(state: LayerState): Uint8Array {
  const pack = ({ name: arrayName, shape, data, entries }: NamedArray) => ({
    name: arrayName,
    shape,
    bytes: bytesOf(data),
    entries: (entries ?? shape.map(() => null)).map((list) => list && bytesOf(Uint32Array.from(list))),
  });
  return encode({ ...state, parameters: state.parameters.map(pack), optimizer: state.optimizer.map(pack) });
}

/**
 * Checks everything a peer could get wrong: schema, layer, names, entries, sizes, finiteness. Throws a message for people.
 * @param expected the layer's parameters over all units
 */
export function decodeLayer(
  bytes: Uint8Array,
  layer: string,
  expected: readonly ParameterShape[],
): LayerState {
  const checked = v.safeParse(StateSchema, decode(bytes));
  if (!checked.success) throw new Error(`The state of a layer is malformed: ${complaint(checked.issues)}`);
  const state = checked.output;
  if (state.layer !== layer) throw new Error(`Asked for ${layer}, got ${state.layer}.`);
  const shapes = new Map(expected.map((parameter) => [parameter.name, parameter.shape]));
  const unpack = (array: v.InferOutput<typeof ArraySchema>): NamedArray => {
    const whole_ = shapes.get(array.name.split(':')[0]);
    const entries = whole_ && readEntries(array.entries, whole_);
    const shape = entries && pieceShape(whole_, entries);
    if (!shape || shape.join() !== array.shape.join() || array.bytes.length !== sizeOf(shape) * 4) {
      throw new Error(`${array.name} does not fit layer ${layer}.`);
    }
    const data = new Float32Array(array.bytes.slice().buffer);
    if (!data.every(Number.isFinite)) throw new Error(`${array.name} holds numbers that are not finite.`);
    return { name: array.name, shape, data, entries };
  };
  return { ...state, parameters: state.parameters.map(unpack), optimizer: state.optimizer.map(unpack) };
}

/** Null where the entries are none of an array of `shape`, or one comes twice. */
function readEntries(packed: readonly (Uint8Array | null)[], shape: readonly number[]): Entries | null {
  if (packed.length !== shape.length) return null;
  const entries = packed.map((bytes) => bytes && [...new Uint32Array(bytes.slice().buffer)]);
  const isRight = entries.every(
    (list, d) => !list || (new Set(list).size === list.length && list.every((entry) => entry < shape[d])),
  );
  return isRight ? entries : null;
}
