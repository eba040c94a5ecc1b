import { entriesOf, initialPiece, overlay, pieceShape } from '../model/pieces.ts';
import { sizeOf, type ParameterShape } from '../model/graph.ts';
import type { BlockOp, BlockSpec, LayerState, NamedArray, Register } from '../ports/compute.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { optimizerOf } from './optimizers.ts';

/** What parameters of layers are called, after the layer's own name. */
const PARTS = ['kernel', 'depthwise_kernel', 'bias', 'gamma', 'beta', 'moving_mean', 'moving_variance'];

/** What a parameter of a block starts from: this block's entries of it. */
export interface ParameterStart {
  value: NamedArray;
  trainable: boolean;
  /** Optimizer arrays by the name after the colon; none for zeros. */
  state: Map<string, Float32Array>;
}

/** What a layer of a block starts from. */
export interface LayerStart {
  layer: string;
  updates: number;
  parameters: ParameterStart[];
}

/** Checks a block and the given states, and fills up from the seed. Throws naming the layer; touches no tensor. */
export function startingPoint(block: BlockSpec, states: readonly LayerState[]): LayerStart[] {
  assertCount(block.rows, 1, "The block's rows");
  const ops = block.segments.flatMap((segment) => segment.ops);
  const layers = [...new Set(ops.map(({ layer }) => layer))];
  const stranger = states.find(({ layer }) => !layers.includes(layer));
  if (stranger) throw new Error(`State was given for layer ${stranger.layer}, which is not in the block.`);
  return layers.map((layer) => {
    const own = ops.filter((op) => op.layer === layer);
    const given = states.filter((state) => state.layer === layer);
    return layerStart(block, layer, own, given);
  });
}

function layerStart(
  block: BlockSpec,
  layer: string,
  ops: readonly BlockOp[],
  states: readonly LayerState[],
): LayerStart {
  const shapes = ops.flatMap(({ parameters }) => parameters);
  const arrays = optimizerOf(block.optimizer.kind).state;
  for (const state of states) checkState(state, shapes, arrays);
  const parameters = ops.flatMap((op) => {
    const [input, output] = [op.inputs[0], op.output].map((register) => heldIn(block, register));
    return op.parameters.map((shape): ParameterStart => {
      const value = initialPiece(block.seed, shape, entriesOf(shape, input, output));
      overlayAll(
        shape,
        value,
        states.flatMap((state) => state.parameters),
      );
      return { value, trainable: shape.trainable, state: optimizerArrays(shape, value, arrays, states) };
    });
  });
  return { layer, updates: Math.max(0, ...states.map(({ updates }) => updates)), parameters };
}

function heldIn(
  { registers, orders }: BlockSpec,
  index: number,
): Pick<Register, 'held'> & { order: number[] | null } {
  const { shape, held } = registers[index];
  return { held, order: orders.find(({ space }) => space === shape.space)?.units ?? null };
}

function optimizerArrays(
  shape: ParameterShape,
  value: NamedArray,
  arrays: readonly string[],
  states: readonly LayerState[],
): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  for (const array of arrays) {
    const name = `${shape.name}:${array}`;
    const target = { ...value, name, data: new Float32Array(value.data.length) };
    const copied = overlayAll(
      shape,
      target,
      states.flatMap((state) => state.optimizer),
    );
    if (copied > 0) found.set(array, target.data);
  }
  return found;
}

/** Later sources count over earlier ones. Gives how many numbers were copied. */
function overlayAll({ shape }: ParameterShape, target: NamedArray, sources: readonly NamedArray[]): number {
  return sources
    .filter(({ name }) => name === target.name)
    .reduce((copied, source) => copied + overlay(shape, target, source), 0);
}

function checkState(
  { layer, updates, parameters, optimizer }: LayerState,
  shapes: readonly ParameterShape[],
  arrays: readonly string[],
): void {
  const what = `State of layer ${layer}:`;
  assertCount(updates, 0, `${what} the count of updates`);
  for (const array of [...parameters, ...optimizer]) {
    const [parameter, kept] = array.name.split(':');
    const isKnown = parameters.includes(array) ? !kept : arrays.includes(kept);
    if (!isKnown || !PARTS.some((part) => parameter === `${layer}/${part}`)) {
      throw new Error(`${what} ${array.name} is not a part of it.`);
    }
    const shape = shapes.find(({ name }) => name === parameter);
    // Another lane may have more of the layer than this block.
    if (shape) checkPiece(shape, array, what);
  }
  // Half of an optimizer's arrays would be taken for the whole: Adam divides by what is then zero.
  for (const { name } of optimizer.length > 0 ? parameters : []) {
    if (!shapes.find((shape) => shape.name === name)?.trainable) continue;
    const missing = arrays.find((array) => !optimizer.some((given) => given.name === `${name}:${array}`));
    if (missing) throw new Error(`${what} ${name}:${missing} is missing.`);
  }
}

function checkPiece(
  { shape: whole }: ParameterShape,
  { name, shape, data, entries }: NamedArray,
  what: string,
): void {
  if (entries) {
    const fits =
      entries.length === whole.length &&
      entries.every((held, d) => held === null || areEntries(held, whole[d]));
    if (!fits)
      throw new Error(`${what} ${name} has entries that an array of shape [${whole.join()}] has not.`);
  }
  const expected = pieceShape(whole, entries ?? whole.map(() => null));
  if (shape.join() !== expected.join()) {
    throw new Error(`${what} ${name} has shape [${shape.join()}], not [${expected.join()}].`);
  }
  assertLength(data, sizeOf(expected), `${what} ${name}`);
  assertFinite(data, `${what} ${name}`);
}

const areEntries = (held: readonly number[], extent: number): boolean =>
  held.every((entry) => Number.isInteger(entry) && entry >= 0 && entry < extent);
