import type { Node, Op } from '../model/graph.ts';
import type { LaneProgram } from '../partition/lane-program.ts';
import { LAYOUTS, type Layout } from '../partition/layout.ts';
import type { Split } from '../../shared/schema/plan.ts';

/** What a lane computes, on registers by number. */
export interface Step {
  kind: Op['kind'] | 'narrow';
  layer: string;
  inputs: readonly number[];
  output: number;
  segment: number;
  /** Its output may be a place where importance is measured. */
  mayMeasure: boolean;
}

/** A lane's steps, and the registers that come from boundaries and go to them. */
export interface Script {
  steps: Step[];
  entries: { register: number; segment: number }[];
  exits: number[];
  /** Takes samples, of which nobody waits for a gradient, and leaves no weight gradients for later; -1: there is none. */
  samplesSegment: number;
}

export const LAYOUT_BITS: Readonly<Record<Layout, number>> = { slices: 1, owner: 2, copies: 4, partial: 8 };

/** The register of a tensor that lies so. */
const registerOf = (tensor: number, layout: Layout): number => (tensor + 1) * 16 + LAYOUT_BITS[layout];

export const tensorIn = (register: number): number => (register >> 4) - 1;
export const layoutBitOf = (register: number): number => register & 15;

/** Where a tensor is taken from, as in `partitionOf`. */
export const PREFERRED = ['slices', 'owner', 'copies', 'partial'] as const;

/** What the lanes of a stage do, each with its part of the registers: the same walk as `partitionOf`. */
export function stageScript(nodes: readonly Node[], splits: readonly Split[], isLastStage: boolean): Script {
  const steps: Step[] = [];
  const exits: number[] = [];
  const there = new Set<number>(nodes[0].index === 0 ? [registerOf(-1, 'copies')] : []);
  let segment = 0;
  const obtain = (tensor: number, wanted: Layout, layer: string): number => {
    const register = registerOf(tensor, wanted);
    if (there.has(register)) return register;
    const found = PREFERRED.find((layout) => there.has(registerOf(tensor, layout)));
    const copies = registerOf(tensor, 'copies');
    if (there.has(copies) && wanted !== 'partial') {
      steps.push({ kind: 'narrow', layer, inputs: [copies], output: register, segment, mayMeasure: false });
    } else if (found) {
      exits.push(registerOf(tensor, found));
      segment++;
    }
    there.add(register);
    return register;
  };
  nodes.forEach(({ index, inputs, layer, op }, i) => {
    const { reads, writes } = LAYOUTS[splits[i]];
    const read = inputs.map((input) => obtain(input, reads, layer));
    const output = registerOf(index, writes);
    steps.push({ kind: op.kind, layer, inputs: read, output, segment, mayMeasure: writes !== 'partial' });
    there.add(output);
  });
  const last = steps[steps.length - 1].output;
  const isSummed = isLastStage && layoutBitOf(last) === LAYOUT_BITS.partial;
  if (!isLastStage || isSummed) exits.push(last);
  // Every lane completes the scores for itself.
  const entries = isSummed ? [{ register: registerOf(tensorIn(last), 'copies'), segment: segment + 1 }] : [];
  // What only way stations read is not measured, as in the lanes' programs.
  const ends = new Set(nodes.flatMap(({ kind, inputs }) => (kind === 'unitwise' ? [] : inputs)));
  for (const step of steps)
    step.mayMeasure &&= exits.includes(step.output) || ends.has(tensorIn(step.output));
  return { steps, entries, exits, samplesSegment: nodes[0].index === 0 && !isLastStage ? 0 : -1 };
}

/** What one lane does. */
export function laneScript({ segments, indices }: LaneProgram, kept: number): Script {
  const isAlone = indices.length === 1 && indices[0] === 0 && segments[0].output === null;
  const steps = segments.flatMap(({ ops }, segment) =>
    ops.map(({ op, layer, inputs, output, measures }): Step => ({
      kind: op.kind,
      layer,
      inputs,
      output,
      segment,
      mayMeasure: measures,
    })),
  );
  return {
    steps,
    entries: segments.flatMap(({ input }, segment) => (input === null ? [] : { register: input, segment })),
    exits: segments.flatMap(({ output }) => output ?? []),
    samplesSegment: isAlone && kept > 1 ? -1 : indices.indexOf(0),
  };
}

const KEEPS_INPUT: ReadonlySet<Step['kind']> = new Set([
  'dense',
  'conv2d',
  'depthwiseConv2d',
  'maxPooling2d',
  'batchNormalization',
  'layerNormalization',
]);
const KEEPS_OUTPUT: ReadonlySet<Step['kind']> = new Set([
  'activation',
  'leakyRelu',
  'softmax',
  'maxPooling2d',
]);

/**
 * Registers that stay from a micro-batch's forward to its backward, and how many times over. Some backward reads them, or another
 * segment, or the importance of units is measured there; and gradients stay where they meet or wait for others, and at the loss, where
 * they are made in the forward. A product, its bias and its activation are done in one pass: what is between them is never there.
 */
function keptRegisters({ steps, entries, exits }: Script): Map<number, number> {
  const readers = new Map<number, Step[]>();
  for (const step of steps) {
    for (const input of step.inputs) readers.set(input, [...(readers.get(input) ?? []), step]);
  }
  const passing = withinPasses(steps, readers, exits);
  const homes = new Map(steps.map((step) => [step.output, step]));
  const kept = new Map<number, number>();
  const entering = entries.map(({ register }) => register);
  for (const register of new Set([...entering, ...readers.keys(), ...homes.keys()])) {
    if (passing.has(register)) continue;
    const by = readers.get(register) ?? [];
    const home = homes.get(register);
    const isExit = exits.includes(register);
    const isEnd = by.length === 0 && !isExit;
    const stays =
      by.some(({ kind, segment }) => KEEPS_INPUT.has(kind) || segment !== (home ?? by[0]).segment) ||
      (home !== undefined && (KEEPS_OUTPUT.has(home.kind) || home.mayMeasure)) ||
      by.length > 1 ||
      isEnd;
    const gradientsMeet = by.length + (isExit ? 1 : 0) !== 1 || by.some(({ inputs }) => inputs.length > 1);
    const times = (stays ? 1 : 0) + (gradientsMeet ? 1 : 0);
    if (times > 0) kept.set(register, times);
  }
  return kept;
}

/** Registers that a segment keeps while its weight gradients are pending, with repeats: what products read, and the gradients they were given. */
function pendingRegisters({ steps, samplesSegment }: Script, segment: number): number[] {
  if (segment === samplesSegment) return [];
  const products = steps.filter(
    (step) => step.segment === segment && (isProduct(step) || step.kind === 'depthwiseConv2d'),
  );
  return [...new Set(products.flatMap(({ inputs }) => inputs)), ...products.map(({ output }) => output)];
}

/** Where registers count: one number or one for each number of units. */
export interface Slots {
  count: number;
  of(register: number): number;
  bytesOf(register: number): number;
}

/**
 * Upper bound of what one micro-batch keeps, by slot: any of its segments may be before its backward, or after it with weight gradients
 * pending.
 */
export function keptBytes(script: Script, slots: Slots): number[] {
  const firstSegment = new Map<number, number>();
  for (const { register, segment } of script.entries) firstSegment.set(register, segment);
  for (const { inputs, output, segment } of script.steps)
    for (const register of [...inputs, output])
      if (!firstSegment.has(register)) firstSegment.set(register, segment);
  const rowsBefore = new Map<number, number[]>();
  const rowOf = (segment: number) => {
    const row = rowsBefore.get(segment) ?? new Array<number>(slots.count).fill(0);
    rowsBefore.set(segment, row);
    return row;
  };
  for (const [register, times] of keptRegisters(script))
    rowOf(firstSegment.get(register)!)[slots.of(register)] += times * slots.bytesOf(register);
  const bytes = new Array<number>(slots.count).fill(0);
  const segments = [...script.steps, ...script.entries].map(({ segment }) => segment);
  for (const segment of new Set(segments)) {
    const after = new Array<number>(slots.count).fill(0);
    for (const register of pendingRegisters(script, segment))
      after[slots.of(register)] += slots.bytesOf(register);
    rowOf(segment).forEach((before, slot) => (bytes[slot] += Math.max(before, after[slot])));
  }
  return bytes;
}

function withinPasses(
  steps: readonly Step[],
  readers: ReadonlyMap<number, readonly Step[]>,
  exits: readonly number[],
): Set<number> {
  const within = new Set<number>();
  steps.forEach((step, i) => {
    if (!isProduct(step)) return;
    let last = step;
    for (const next of steps.slice(i + 1)) {
      const follows =
        next.layer === last.layer && next.segment === last.segment && next.inputs[0] === last.output;
      const isFinish = next.kind === 'bias' || next.kind === 'activation';
      const isOnlyReader = readers.get(last.output)?.length === 1 && !exits.includes(last.output);
      if (!follows || !isFinish || !isOnlyReader) break;
      within.add(last.output);
      last = next;
      if (next.kind === 'activation') break;
    }
  });
  return within;
}

export const isProduct = ({ kind }: Pick<Step, 'kind'>): boolean => kind === 'dense' || kind === 'conv2d';
