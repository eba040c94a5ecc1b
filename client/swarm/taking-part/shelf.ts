import { decode, encode } from '@msgpack/msgpack';
import * as v from 'valibot';
import { LIMITS } from '../../../shared/limits.ts';
import { complaint, name, whole } from '../../../shared/schema/common.ts';
import { sizeOf, type LayerShape } from '../../model/shapes.ts';
import type { LayerState, NamedArray } from '../../ports/compute.ts';

/** Layers on their way from one plan to the next: read from the block, handed to whoever takes them over. */
export class Shelf {
  readonly #layers = new Map<string, { state: LayerState; stepsDone: number }>();

  /** `stepsDone`: the steps of the run that this state has seen. */
  put(state: LayerState, stepsDone: number): void {
    this.#layers.set(state.layer, { state, stepsDone });
  }

  get(layer: string): LayerState | undefined {
    return this.#layers.get(layer)?.state;
  }

  /** True where what is here is at least that new. */
  has(layer: string, stepsDone: number): boolean {
    return (this.#layers.get(layer)?.stepsDone ?? -1) >= stepsDone;
  }

  list(): { layer: string; stepsDone: number }[] {
    return [...this.#layers].map(([layer, { stepsDone }]) => ({ layer, stepsDone }));
  }

  clear(): void {
    this.#layers.clear();
  }
}

const ArraySchema = v.strictObject({
  name: name(LIMITS.run.layerNameChars + 32),
  shape: v.pipe(v.array(whole(1, LIMITS.run.units)), v.maxLength(4)),
  bytes: v.instance(Uint8Array),
});
const StateSchema = v.strictObject({
  layer: name(LIMITS.run.layerNameChars),
  updates: whole(0, LIMITS.run.steps),
  parameters: v.pipe(v.array(ArraySchema), v.maxLength(8)),
  optimizer: v.pipe(v.array(ArraySchema), v.maxLength(16)),
});

export function encodeLayer(state: LayerState): Uint8Array {
  const pack = ({ name: arrayName, shape, data }: NamedArray) => ({
    name: arrayName,
    shape,
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  });
  return encode({ ...state, parameters: state.parameters.map(pack), optimizer: state.optimizer.map(pack) });
}

/** Checks everything a peer could get wrong: schema, layer, shapes, sizes, finiteness. Throws a message for people. */
export function decodeLayer(bytes: Uint8Array, expected: LayerShape): LayerState {
  const checked = v.safeParse(StateSchema, decode(bytes));
  if (!checked.success) throw new Error(`The state of a layer is malformed: ${complaint(checked.issues)}`);
  const state = checked.output;
  if (state.layer !== expected.spec.name)
    throw new Error(`Asked for ${expected.spec.name}, got ${state.layer}.`);
  const sizes = new Map(expected.parameters.map((parameter) => [parameter.name, sizeOf(parameter.shape)]));
  const unpack = (array: v.InferOutput<typeof ArraySchema>): NamedArray => {
    const size = sizes.get(array.name.split(':')[0]);
    if (size === undefined || sizeOf(array.shape) !== size || array.bytes.length !== size * 4) {
      throw new Error(`${array.name} does not fit layer ${state.layer}.`);
    }
    const data = new Float32Array(array.bytes.slice().buffer);
    if (!data.every(Number.isFinite)) throw new Error(`${array.name} holds numbers that are not finite.`);
    return { name: array.name, shape: array.shape, data };
  };
  if (state.parameters.length !== expected.parameters.length) {
    throw new Error(`Layer ${state.layer} came with ${state.parameters.length} parameter arrays.`);
  }
  return { ...state, parameters: state.parameters.map(unpack), optimizer: state.optimizer.map(unpack) };
}
