import { sizeOf } from '../model/shapes.ts';
import type { BlockLayer, BlockSpec, LayerState, NamedArray } from '../ports/compute.ts';
import { assertCount, assertFinite, assertLength } from './checks.ts';
import { layerKind } from './layers/index.ts';
import { optimizerOf } from './optimizers.ts';

/** What a layer of a block starts from. */
export interface LayerStart {
  layer: BlockLayer;
  updates: number;
  parameters: NamedArray[];
  /** Optimizer arrays by their full name; empty for zeros. */
  optimizer: Map<string, Float32Array>;
}

/** Checks a block and the given state, and fills up from the seed. Throws naming the layer; touches no tensor. */
export function startingPoint(block: BlockSpec, states: readonly LayerState[]): LayerStart[] {
  if (block.layers.length === 0) throw new Error('A block has at least one layer.');
  assertCount(block.rows, 1, "The block's rows");
  const given = new Map(states.map((state) => [state.layer, state]));
  const names = new Set<string>();
  let width = sizeOf(block.layers[0].inputShape);
  const starts = block.layers.map((layer) => {
    const { name } = layer.spec;
    if (names.has(name)) throw new Error(`Layer ${name} is in the block twice.`);
    names.add(name);
    checkShape(layer, width);
    width = layer.units[1] - layer.units[0];
    return layerStart(block, layer, given.get(name));
  });
  const stranger = states.find((state) => !names.has(state.layer));
  if (stranger) throw new Error(`State was given for layer ${stranger.layer}, which is not in the block.`);
  return starts;
}

function checkShape({ spec, inputShape, units: [start, end] }: BlockLayer, width: number): void {
  if (sizeOf(inputShape) !== width) {
    throw new Error(`Layer ${spec.name} takes ${sizeOf(inputShape)} inputs, but gets ${width}.`);
  }
  if (start < 0 || end > spec.units || start >= end) {
    throw new Error(`Layer ${spec.name} has no units [${start}, ${end}) of ${spec.units}.`);
  }
}

function layerStart(block: BlockSpec, layer: BlockLayer, state: LayerState | undefined): LayerStart {
  const initial = layerKind(layer.spec).initial(block.seed, layer);
  if (!state) return { layer, updates: 0, parameters: initial, optimizer: new Map() };
  const what = `State of layer ${layer.spec.name}:`;
  assertCount(state.updates, 0, `${what} the count of updates`);
  const parameters = initial.map(({ name, shape }) => find(state.parameters, name, shape, what));
  const optimizer = new Map<string, Float32Array>();
  if (state.optimizer.length > 0) {
    for (const { name, shape } of initial) {
      for (const array of optimizerOf(block.optimizer.kind).state) {
        optimizer.set(`${name}:${array}`, find(state.optimizer, `${name}:${array}`, shape, what).data);
      }
    }
  }
  return { layer, updates: state.updates, parameters, optimizer };
}

function find(
  arrays: readonly NamedArray[],
  name: string,
  shape: readonly number[],
  what: string,
): NamedArray {
  const found = arrays.find((array) => array.name === name);
  if (!found) throw new Error(`${what} ${name} is missing.`);
  if (found.shape.join() !== shape.join()) {
    throw new Error(`${what} ${name} has shape [${found.shape.join()}], not [${shape.join()}].`);
  }
  assertLength(found.data, sizeOf([...shape]), `${what} ${name}`);
  assertFinite(found.data, `${what} ${name}`);
  return found;
}
