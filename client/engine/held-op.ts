import type { Tensor2D } from '@tensorflow/tfjs-core';
import type { BlockSpec, Register } from '../ports/compute.ts';
import type { FusedOp } from './block-plan.ts';
import type { HeldLayer } from './held-layer.ts';
import type { Kernels } from './kernels/index.ts';
import { openOp, type RunningOp } from './ops/index.ts';
import type { Parameter } from './parameter.ts';

/** An op of the block with its parameters, and which registers it works on. */
export interface HeldOp {
  running: RunningOp;
  inputs: readonly number[];
  output: number;
  /** Importance of the units in its output register is measured. */
  measures: boolean;
}

export function holdOp(
  kernels: Kernels,
  block: BlockSpec,
  fused: FusedOp,
  layers: readonly HeldLayer[],
): HeldOp {
  const [first] = fused.ops;
  const layer = layers.find(({ name }) => name === first.layer);
  const parametersOf = (op: FusedOp['ops'][number]): Parameter[] =>
    op.parameters.map(({ name }) => layer!.parameters.find((parameter) => parameter.name === name)!);
  const register = (index: number): Register => block.registers[index];
  const context = {
    kernels,
    seed: block.seed,
    op: first,
    input: register(first.inputs[0]),
    output: register(fused.output),
    parameters: parametersOf(first),
    orderOf: (space: number) => block.orders.find((order) => order.space === space)?.units ?? null,
    through: fused.through,
  };
  const finish = {
    bias: fused.biasOp ? parametersOf(fused.biasOp)[0] : null,
    activation: fused.activation,
    isDerived: fused.isDerived,
  };
  return {
    running: openOp(context, finish),
    inputs: fused.inputs,
    output: fused.output,
    measures: fused.ops[fused.ops.length - 1].measures,
  };
}

/** Every tensor that an op holds besides parameters. */
export const tensorsOf = ({ running }: HeldOp): readonly Tensor2D[] => running.tensors ?? [];
