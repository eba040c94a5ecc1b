import type { BlockOp, BlockSegment, BlockSpec } from '../ports/compute.ts';
import type { Activation } from '../../shared/model.ts';

/** A run of ops that is computed in one: a product, the bias and the activation of its layer. */
export interface FusedOp {
  /** Adjacent ops of one segment; the first reads, the last writes. */
  ops: readonly BlockOp[];
  inputs: readonly number[];
  output: number;
  activation: Activation;
  biasOp: BlockOp | null;
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
  return { segments: block.segments.map(({ ops }) => fuse(ops, readers)), lastReader };
}

/** The segments that have something to do; the others are never run. */
export const busySegments = (segments: readonly BlockSegment[]): number[] =>
  segments.flatMap(({ input, ops, output }, i) =>
    input !== null || ops.length > 0 || output !== null ? [i] : [],
  );

/** True for the segment that ends in logits. */
export function endsModel({ head, segments }: BlockSpec, segment: number): boolean {
  const { ops, output } = segments[segment];
  return head && output === null && ops.length > 0 && segment === segments.length - 1;
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
    fused.push({ ops: run, inputs: run[0].inputs, output: run[run.length - 1].output, activation, biasOp });
    i += run.length;
  }
  return fused;
}
