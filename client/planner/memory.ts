import { widthOf } from '../model/graph.ts';
import type { LaneProgram } from '../partition/lane-program.ts';
import type { BlockOp, Register } from '../ports/compute.ts';
import type { Crew } from './crew.ts';
import type { StageLoad } from './loads.ts';
import { largestBytesOf, stateBytesOf } from './profile.ts';

/**
 * Tensors that a kernel may hold for a moment beyond what is kept, in units of the block's largest: a gradient in, a gradient out,
 * and for convolutions transposed copies of input and gradient.
 */
const PASSING_TENSORS = 4;
/** And the gradient of one whole parameter array before it is added to its sum. */
const PASSING_PARAMETERS = 1;

/** Upper bound of the tensor bytes of one lane of a stage, with `inFlight` micro-batches. */
export function laneBytes(load: StageLoad, crew: Crew, lane: number, inFlight: number): number {
  const { classes, stateBytes, tensorBytes, largestTensorBytes, largestParameterBytes } = load;
  const whole = classes.length;
  const slots = lane === 0 ? whole + 2 : whole + 1;
  let bytes = 0;
  let largestTensor = 0;
  let largestParameter = 0;
  for (let slot = 0; slot < slots; slot++) {
    const share = slot < whole ? crew.fractionsOf(classes[slot])[lane] : 1;
    bytes += share * (stateBytes[slot] + inFlight * tensorBytes[slot]);
    largestTensor = Math.max(largestTensor, share * largestTensorBytes[slot]);
    largestParameter = Math.max(largestParameter, share * largestParameterBytes[slot]);
  }
  return bytes + PASSING_TENSORS * largestTensor + PASSING_PARAMETERS * largestParameter;
}

/** The same of a block as it will be loaded: parameters, what its optimizer keeps, tensors in flight, and what passes. */
export function blockBytes(
  { registers, segments }: LaneProgram,
  optimizerArrays: number,
  rows: number,
  inFlight: number,
): number {
  const tensorBytes = registers.map(
    ({ shape, held }) => rows * heldShare(shape.units, held) * widthOf(shape) * 4,
  );
  const ops = segments.flatMap((segment) => segment.ops);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  const state = ops.map((op) => shareOf(op, registers) * stateBytesOf(op.parameters, optimizerArrays));
  const parameters = ops.map((op) => shareOf(op, registers) * largestBytesOf(op.parameters));
  const passing =
    PASSING_TENSORS * Math.max(0, ...tensorBytes) + PASSING_PARAMETERS * Math.max(0, ...parameters);
  return sum(state) + inFlight * sum(tensorBytes) + passing;
}

/** A product has the entries of its units in both registers; of everything else, units before and after are the same. */
export function shareOf({ op, inputs, output }: BlockOp, registers: readonly Register[]): number {
  const heldOf = (register: number) => heldShare(registers[register].shape.units, registers[register].held);
  const isProduct = op.kind === 'dense' || op.kind === 'conv2d';
  return heldOf(output) * (isProduct ? heldOf(inputs[0]) : 1);
}

const heldShare = (units: number, [start, end]: readonly [number, number]): number => (end - start) / units;
