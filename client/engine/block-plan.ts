import type { BlockOp, BlockSegment, BlockSpec } from '../ports/compute.ts';
import type { Activation } from '../../shared/model.ts';
import type { Curve } from './ops/activations.ts';

/** A run of ops that is computed in one: a product, the bias and the activation of its layer. */
export interface FusedOp {
  /** Adjacent ops of one segment; the first reads, the last writes. */
  ops: readonly BlockOp[];
  inputs: readonly number[];
  output: number;
  activation: Activation;
  biasOp: BlockOp | null;
  /** The activation that made its input, where its backward goes on through the derivative of that. */
  through: Curve | null;
  /** So its own activation's derivative is done by the op that reads it. */
  isDerived: boolean;
}

/** What follows from a block's ops before anything runs. */
export interface BlockPlan {
  /** Per segment. */
  segments: FusedOp[][];
  /** Per register: the last segment whose ops or exit read it in a forward; -1 where none does. */
  lastReader: number[];
}

export function planBlock(block: BlockSpec): BlockPlan {
  const readers = block.registers.map(() => 0);
  const lastReader = block.registers.map(() => -1);
  const note = (register: number, segment: number) => {
    readers[register]++;
    lastReader[register] = Math.max(lastReader[register], segment);
  };
  block.segments.forEach(({ ops, output }, segment) => {
    for (const op of ops) for (const input of op.inputs) note(input, segment);
    if (output !== null) note(output, segment);
  });
  const segments = block.segments.map(({ ops }) => fuse(ops, readers));
  for (const fused of segments) goThrough(fused, readers);
  return { segments, lastReader };
}

/** The segments that have something to do; the others are never run. */
export const busySegments = (segments: readonly BlockSegment[]): number[] =>
  segments.flatMap(({ input, ops, output }, i) =>
    input !== null || ops.length > 0 || output !== null ? [i] : [],
  );

/** The register with the logits that a segment ends in: what its last op writes, or what came in; null where it does not end the model. */
export function logitsOf({ head, segments }: BlockSpec, segment: number): number | null {
  const { input, ops, output } = segments[segment];
  const endsModel = head && output === null && segment === segments.length - 1;
  return endsModel ? (ops.at(-1)?.output ?? input) : null;
}

function fuse(ops: readonly BlockOp[], readers: readonly number[]): FusedOp[] {
  const fused: FusedOp[] = [];
  for (let i = 0; i < ops.length;) {
    const run = [ops[i]];
    const isProduct = ops[i].op.kind === 'dense' || ops[i].op.kind === 'conv2d';
    let activation: Activation = 'linear';
    let biasOp: BlockOp | null = null;
    for (let j = i + 1; isProduct && j < ops.length; j++) {
      const last = run[run.length - 1];
      const next = ops[j];
      const follows =
        next.layer === last.layer && next.inputs[0] === last.output && readers[last.output] === 1;
      if (!follows || last.measures) break;
      if (next.op.kind === 'bias') biasOp = next;
      else if (next.op.kind === 'activation') activation = next.op.activation;
      else break;
      run.push(next);
      if (activation !== 'linear') break;
    }
    const { inputs } = run[0];
    const { output } = run[run.length - 1];
    fused.push({ ops: run, inputs, output, activation, biasOp, through: null, isDerived: false });
    i += run.length;
  }
  return fused;
}

/** Ops whose backward can go on through the derivative of what made their input. */
const GOING_THROUGH: readonly BlockOp['op']['kind'][] = ['dense', 'conv2d', 'maxPooling2d'];

/** Joins the derivative of an activation with the backward of the only op that reads it. */
function goThrough(fused: readonly FusedOp[], readers: readonly number[]): void {
  for (const reader of fused) {
    const [input] = reader.inputs;
    const maker = fused.find(({ output }) => output === input);
    if (!maker || maker.activation === 'linear' || readers[input] !== 1) continue;
    if (!GOING_THROUGH.includes(reader.ops[0].op.kind)) continue;
    // Importance is |h * dLoss/dh|; only where h is zero does the derivative of ReLU change that.
    if (maker.ops[maker.ops.length - 1].measures && maker.activation !== 'relu') continue;
    reader.through = maker.activation;
    maker.isDerived = true;
  }
}
