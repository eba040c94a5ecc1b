import { sizeOf, widthOf, type Node, type ParameterShape } from '../model/graph.ts';
import type { LaneProgram } from '../partition/lane-program.ts';
import type { BlockOp, Register } from '../ports/compute.ts';
import { keptBytes, laneScript } from './holdings.ts';

/**
 * Upper bound of the tensor bytes of a block as it will be loaded: parameters with gradient sums and optimizer state; what micro-batches
 * under way keep, before their backward or until their weight gradients are done; and what the hungriest op has besides for a moment.
 * The engine takes 0.45 to 1 times as much.
 */
export function blockBytes(
  program: LaneProgram,
  optimizerArrays: number,
  rows: number,
  kept: number,
): number {
  const { registers, segments } = program;
  const bytesOf = (register: number) => {
    const { shape, held } = registers[register];
    return rows * heldShare(shape.units, held) * widthOf(shape) * 4;
  };
  let bytes = 0;
  let passing = 0;
  for (const op of segments.flatMap(({ ops }) => ops)) {
    const share = shareOf(op, registers);
    const { held } = registers[op.output];
    bytes += share * stateBytesOf(op.parameters, optimizerArrays);
    bytes += fixedBytes(op.op.kind, held[1] - held[0], bytesOf(op.output) / rows);
    const inputBytes = op.inputs.reduce((sum, input) => sum + bytesOf(input), 0);
    const rowsBytes = inputBytes + bytesOf(op.output);
    const own = share * largestBytesOf(op.parameters) + (2 + joinedOf(kept)) * rowsBytes;
    passing = Math.max(
      passing,
      own +
        patchesBytes(
          op.op,
          registers[op.output].shape.outer,
          inputBytes,
          registers[op.inputs[0]].shape.outer,
        ),
    );
  }
  const { input, ops, output } = segments[segments.length - 1];
  if (input !== null && ops.length === 0 && output === null)
    passing = Math.max(passing, lossBytes(bytesOf(input), rows));
  const [ofMicroBatch] = keptBytes(laneScript(program, kept), { count: 1, of: () => 0, bytesOf });
  return bytes + kept * ofMicroBatch + passing;
}

/** What a loss that is made of what comes in has for a moment: softmax, and of each sample its label, its loss and whether it is right. */
export const lossBytes = (logitsBytes: number, rows: number): number => logitsBytes + rows * 3 * 4;

/** Room for rows of so many micro-batches: more than is needed where weight gradients of several are summed, which reads each where it lies. */
export const joinedOf = (kept: number): number => (kept > 1 ? kept : 0);

/** What an op has all the time besides its parameters: scores of units, and the places that dropout's masks are made from. */
export const fixedBytes = (kind: BlockOp['op']['kind'], units: number, outputBytesOfSample: number): number =>
  4 * units + (kind === 'dropout' ? outputBytesOfSample : 0);

/** What a convolution's windows see, taken out one by one, or its gradient; for each sample, what one window by itself is worth. */
export function patchesBytes(
  op: BlockOp['op'],
  places: number,
  inputBytes: number,
  inputPlaces: number,
): number {
  if (op.kind === 'depthwiseConv2d')
    return sizeOf(op.kernelSize) * op.multiplier * (inputBytes / inputPlaces);
  if (op.kind !== 'conv2d') return 0;
  const isPointwise = sizeOf(op.kernelSize) * sizeOf(op.strides) === 1;
  return isPointwise ? 0 : (inputBytes / inputPlaces) * places * sizeOf(op.kernelSize);
}

/** Bytes of parameters over all units, each with a gradient sum and what the optimizer keeps of it; statistics are followed by a copy. */
export const stateBytesOf = (parameters: readonly ParameterShape[], optimizerArrays: number): number =>
  parameters.reduce(
    (sum, { shape, trainable }) => sum + sizeOf(shape) * 4 * (trainable ? 2 + optimizerArrays : 2),
    0,
  );

export const largestBytesOf = (parameters: readonly ParameterShape[]): number =>
  parameters.reduce((largest, { shape }) => Math.max(largest, sizeOf(shape) * 4), 0);

/** A product has the entries of its units in both registers; of everything else, units before and after are the same. */
export function shareOf({ op, inputs, output }: BlockOp, registers: readonly Register[]): number {
  const heldOf = (register: number) => heldShare(registers[register].shape.units, registers[register].held);
  const isProduct = op.kind === 'dense' || op.kind === 'conv2d';
  return heldOf(output) * (isProduct ? heldOf(inputs[0]) : 1);
}

const heldShare = (units: number, [start, end]: readonly [number, number]): number => (end - start) / units;

/** Bytes of what windows see of a node's whole input. */
export const patchesOfNode = ({ op, input, output }: Node, rows: number): number =>
  patchesBytes(op, output.outer, rows * widthOf(input) * 4, input.outer);
