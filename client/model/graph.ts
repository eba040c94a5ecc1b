import type { LayerSpec, ModelSpec, Pair } from '../../shared/model.ts';
import { layerNodes, type LayerNode } from './layer-nodes.ts';

/**
 * How a tensor's numbers belong to units: number ((o * units + u) * inner + q) of a sample belongs to unit u, for o < outer and
 * q < inner. A dense layer has outer = inner = 1; a convolution has its places in `outer`, and so has what is flattened from it; a
 * depthwise convolution with a multiplier has it in `inner`.
 */
export interface TensorShape {
  /** Without the batch dimension. */
  shape: number[];
  units: number;
  outer: number;
  inner: number;
  /** The unit space (`ModelGraph.spaces`) that its units are of. */
  space: number;
}

/** Units that are exchangeable with one another and keep their place through several layers (activation, pooling, flatten, add). */
export interface UnitSpace {
  index: number;
  units: number;
  /** The layer that makes them; `input` for the model's input. */
  layer: string;
  /** True where their order means something: inputs, classes, and what a reshape takes apart. */
  pinned: boolean;
}

/** Which units a dimension of a parameter is indexed by, and how many entries there are per unit (as in TensorShape). */
export interface Dimension {
  by: 'input' | 'output';
  units: number;
  outer: number;
  inner: number;
}

/** A parameter array over all units. */
export interface ParameterShape {
  /** `layer/kernel`, `layer/bias`, `layer/gamma`, `layer/beta`, `layer/moving_mean`, `layer/moving_variance`, `layer/depthwise_kernel`. */
  name: string;
  shape: number[];
  /** Per dimension of `shape`; null where every block holds all of it. */
  dimensions: (Dimension | null)[];
  /** False for the moving statistics of batch normalization: no gradient, no optimizer state. */
  trainable: boolean;
}

/** What a node computes. A layer is one node or several: a dense layer is its product, its bias, its activation. */
export type Op =
  | { kind: 'dense' }
  | { kind: 'conv2d'; kernelSize: Pair; strides: Pair; padding: 'same' | 'valid' }
  | { kind: 'depthwiseConv2d'; kernelSize: Pair; multiplier: number; strides: Pair; padding: 'same' | 'valid' }
  | { kind: 'bias' }
  | { kind: 'activation'; activation: 'relu' | 'tanh' | 'sigmoid' }
  | { kind: 'leakyRelu'; alpha: number }
  | { kind: 'dropout'; rate: number }
  | { kind: 'maxPooling2d' | 'averagePooling2d'; poolSize: Pair; strides: Pair; padding: 'same' | 'valid' }
  | { kind: 'globalAveragePooling2d' }
  /** Flatten, and reshapes that keep each unit's numbers together. */
  | { kind: 'reshape' }
  | { kind: 'batchNormalization'; momentum: number; epsilon: number; center: boolean; scale: boolean }
  | { kind: 'layerNormalization'; epsilon: number; center: boolean; scale: boolean }
  | { kind: 'softmax' }
  | { kind: 'add' };

/**
 * How a node may be cut. `linear`: by columns (own units from the whole input) or by rows (a partial sum of all units from
 * its slice of the input). `unitwise`: units of the output follow those of the input. `across`: needs all units at once.
 */
export type NodeKind = 'linear' | 'unitwise' | 'across';

/** The grain of cuts between stages. Node i of a model reads outputs of earlier nodes. */
export interface Node {
  index: number;
  layer: string;
  kind: NodeKind;
  op: Op;
  /** Nodes whose outputs it reads; -1 is the model's input. */
  inputs: number[];
  input: TensorShape;
  output: TensorShape;
  parameters: ParameterShape[];
  /** Multiply-adds counted as two operations, one sample, forward, all units. */
  operations: number;
}

/** A model taken apart: what every peer derives from the same spec. */
export interface ModelGraph {
  model: ModelSpec;
  input: TensorShape;
  spaces: UnitSpace[];
  nodes: Node[];
}

/** Most models are asked about again and again. */
const known = new WeakMap<ModelSpec, ModelGraph>();

/** Takes a model apart. Throws a message for people that names the layer which does not fit. */
export function modelGraph(model: ModelSpec): ModelGraph {
  const found = known.get(model);
  if (found) return found;
  const graph = new GraphBuilder(model).build();
  known.set(model, graph);
  return graph;
}

export const sizeOf = (shape: readonly number[]): number =>
  shape.reduce((product, extent) => product * extent, 1);

/** Numbers of one sample in a tensor. */
export const widthOf = ({ units, outer, inner }: Pick<TensorShape, 'units' | 'outer' | 'inner'>): number =>
  units * outer * inner;

export const parameterCount = (nodes: readonly Node[]): number =>
  nodes.reduce((sum, node) => sum + node.parameters.reduce((s, { shape }) => s + sizeOf(shape), 0), 0);

/** The output of node `index`, or the model's input for -1. */
export const tensorOf = (graph: ModelGraph, index: number): TensorShape =>
  index < 0 ? graph.input : graph.nodes[index].output;

const NOT_LOGITS: ReadonlySet<string> = new Set(['activation', 'softmax', 'leakyRelu', 'dropout']);

class GraphBuilder {
  readonly #spaces: UnitSpace[] = [];
  readonly #nodes: Node[] = [];
  /** Output node of each layer. */
  readonly #outputs = new Map<string, number>();
  readonly #input: TensorShape;

  constructor(private readonly model: ModelSpec) {
    const { inputShape } = model;
    const units = inputShape[inputShape.length - 1];
    this.#input = {
      shape: inputShape,
      units,
      outer: sizeOf(inputShape) / units,
      inner: 1,
      space: this.#newSpace(units, 'input'),
    };
    this.#spaces[this.#input.space].pinned = true;
    this.#outputs.set('input', -1);
  }

  build(): ModelGraph {
    let before = 'input';
    for (const spec of this.model.layers) {
      if (this.#outputs.has(spec.name)) {
        throw new Error(
          spec.name === 'input'
            ? 'No layer may be called "input": that is the name of what enters the model.'
            : `Two layers are called ${spec.name}.`,
        );
      }
      this.#add(spec, spec.inputs ?? [before]);
      before = spec.name;
    }
    const last = this.#nodes.at(-1);
    if (!last) throw new Error('A model has at least one layer.');
    const { output } = last;
    if (output.shape.length !== 1) {
      throw new Error(`Layer ${last.layer} ends the model, so it must give one number per class, not shape [${output.shape.join(', ')}].`);
    }
    if (NOT_LOGITS.has(last.op.kind)) {
      throw new Error(`Layer ${last.layer} ends the model, so it must give plain scores (logits): no ${last.op.kind} after them.`);
    }
    this.#spaces[output.space].pinned = true;
    this.#refuseUnread();
    return this.#renumbered();
  }

  #refuseUnread(): void {
    const read = new Set(this.#nodes.flatMap(({ inputs }) => inputs));
    const unread = this.#nodes.slice(0, -1).find(({ index }) => !read.has(index));
    if (unread) throw new Error(`Layer ${unread.layer} is read by no other: only the last layer may end the model.`);
  }

  #add(spec: LayerSpec, inputNames: readonly string[]): void {
    const inputs = inputNames.map((name) => {
      const index = this.#outputs.get(name);
      if (index === undefined) throw new Error(`Layer ${spec.name} reads ${name}, which is no layer before it.`);
      return index;
    });
    const tensors = inputs.map((index) => (index < 0 ? this.#input : this.#nodes[index].output));
    let reads = inputs;
    for (const node of layerNodes(spec, tensors)) {
      const index = this.#nodes.length;
      const input = reads[0] < 0 ? this.#input : this.#nodes[reads[0]].output;
      this.#nodes.push({ index, layer: spec.name, inputs: reads, input, ...this.#placed(node, spec.name, tensors) });
      reads = [index];
    }
    this.#outputs.set(spec.name, reads[0]);
  }

  #placed(node: LayerNode, layer: string, inputs: TensorShape[]): Pick<Node, 'kind' | 'op' | 'output' | 'parameters' | 'operations'> {
    const { space, ...rest } = node;
    if (space === 'new') {
      const fresh = this.#newSpace(rest.output.units, layer);
      return { ...rest, output: { ...rest.output, space: fresh } };
    }
    const own = (this.#nodes.at(-1)?.layer === layer ? this.#nodes.at(-1)!.output : inputs[0]).space;
    if (space === 'apart') {
      this.#spaces[this.#root(own)].pinned = true;
      const fresh = this.#newSpace(rest.output.units, layer);
      this.#spaces[fresh].pinned = true;
      return { ...rest, output: { ...rest.output, space: fresh } };
    }
    if (rest.op.kind === 'add') for (const other of inputs) this.#join(own, other.space);
    return { ...rest, output: { ...rest.output, space: own } };
  }

  #newSpace(units: number, layer: string): number {
    const index = this.#spaces.length;
    this.#spaces.push({ index, units, layer, pinned: false });
    this.#parents.push(index);
    return index;
  }

  /** Spaces that an `add` ties together are one. */
  readonly #parents: number[] = [];

  #root(space: number): number {
    while (this.#parents[space] !== space) space = this.#parents[space];
    return space;
  }

  #join(a: number, b: number): void {
    const [first, second] = [this.#root(a), this.#root(b)].sort((x, y) => x - y);
    if (first === second) return;
    this.#parents[second] = first;
    this.#spaces[first].pinned ||= this.#spaces[second].pinned;
  }

  /** Every space by its final number, spaces that were joined counted once. */
  #renumbered(): ModelGraph {
    const roots = this.#spaces.map((_, i) => this.#root(i));
    const kept = [...new Set(roots)].sort((a, b) => a - b);
    const numbers = new Map(kept.map((root, index) => [root, index]));
    const place = (tensor: TensorShape): TensorShape => ({ ...tensor, space: numbers.get(roots[tensor.space])! });
    // A space is pinned where any of those joined to it is.
    const pinned = (root: number) => this.#spaces.some((space, i) => roots[i] === root && space.pinned);
    return {
      model: this.model,
      input: place(this.#input),
      spaces: kept.map((root, index) => ({ ...this.#spaces[root], index, pinned: pinned(root) })),
      nodes: this.#nodes.map((node) => ({ ...node, input: place(node.input), output: place(node.output) })),
    };
  }
}
