import { tensorOf } from '../model/graph.ts';
import type { Crew, Crews } from './crew.ts';
import { keptBytes, LAYOUT_BITS, layoutBitOf, stageScript, tensorIn } from './holdings.ts';
import type { StageLayout } from './layouts.ts';
import { nodeClass, OWNER, slotsOf, WHOLE, zeros } from './loads.ts';
import { fixedBytes, joinedOf, lossBytes } from './memory.ts';
import type { Problem } from './profile.ts';

/** What a stage's lanes hold, in slots as in `StageLoad`. */
export interface StageMemory {
  classes: readonly number[];
  /** Parameters with gradient sums and optimizer state, and what else is there all the time. */
  heldBytes: number[];
  /** What one micro-batch keeps, before its backward or until its weight gradients are done. */
  keptBytes: number[];
  /** What the hungriest op has besides for a moment, and what its rows are alone. */
  passingBytes: number[];
  rowsBytes: number[];
}

export function stageMemory(problem: Problem, layout: StageLayout): StageMemory {
  const { graph, rows } = problem;
  const { start, end } = layout;
  const { splits } = layout.detail();
  const nodes = graph.nodes.slice(start, end);
  const script = stageScript(nodes, splits, end === graph.nodes.length);
  const nodeClasses = nodes.map((node, i) => nodeClass(problem, node, splits[i]));
  const classOf = (register: number) => registerClass(problem, register);
  const registers = [
    ...script.steps.flatMap(({ inputs, output }) => [...inputs, output]),
    ...script.entries.map(({ register }) => register),
  ];
  const slots = slotsOf([...nodeClasses, ...registers.map(classOf)]);
  const { classes, count } = slots;
  const slotOf = (register: number) => slots.of(classOf(register));
  const bytesOf = (register: number) => problem.tensorBytes[tensorIn(register) + 1];
  const memory: StageMemory = {
    classes,
    heldBytes: zeros(count),
    keptBytes: keptBytes(script, { count, of: slotOf, bytesOf }),
    passingBytes: zeros(count),
    rowsBytes: zeros(count),
  };
  nodeClasses.forEach((c, i) => (memory.heldBytes[slots.of(c)] += problem.stateBytes[start + i]));
  for (const { inputs, output, kind } of script.steps) {
    const node = tensorIn(output);
    const own = zeros(count);
    for (const input of inputs) own[slotOf(input)] += bytesOf(input);
    own[slotOf(output)] += bytesOf(output);
    own.forEach((bytes, slot) => {
      memory.rowsBytes[slot] = Math.max(memory.rowsBytes[slot], bytes);
      own[slot] = 2 * bytes;
    });
    if (kind !== 'narrow') {
      own[slotOf(inputs[0])] += inputs.length * problem.patchesBytes[node];
      own[slots.of(nodeClasses[node - start])] += problem.largestParameterBytes[node];
    }
    own.forEach((bytes, slot) => (memory.passingBytes[slot] = Math.max(memory.passingBytes[slot], bytes)));
    memory.heldBytes[slotOf(output)] += fixedBytes(kind, tensorOf(graph, node).units, bytesOf(output) / rows);
  }
  for (const { register } of script.entries) {
    const slot = slotOf(register);
    memory.passingBytes[slot] = Math.max(memory.passingBytes[slot], lossBytes(bytesOf(register), rows));
  }
  return memory;
}

function registerClass({ classOfSpace, graph }: Problem, register: number): number {
  const bit = layoutBitOf(register);
  if (bit === LAYOUT_BITS.owner) return OWNER;
  return bit === LAYOUT_BITS.slices ? classOfSpace[tensorOf(graph, tensorIn(register)).space] : WHOLE;
}

/** Upper bound of the tensor bytes of one lane. */
export function laneBytes(memory: StageMemory, crew: Crew, lane: number, inFlight: number): number {
  const { classes, heldBytes, keptBytes, passingBytes, rowsBytes } = memory;
  const whole = classes.length;
  let bytes = 0;
  let passing = 0;
  for (let slot = 0; slot < whole + (lane === 0 ? 2 : 1); slot++) {
    const share = slot < whole ? crew.fractionsOf(classes[slot])[lane] : 1;
    bytes += share * (heldBytes[slot] + inFlight * keptBytes[slot]);
    const momentBytes = passingBytes[slot] + joinedOf(inFlight) * rowsBytes[slot];
    if (slot >= whole) bytes += momentBytes;
    else passing = Math.max(passing, share * momentBytes);
  }
  return bytes + passing;
}

/** Rounds of moving units from lanes without room to the others. */
const CAPPING_ROUNDS = 24;

/**
 * The crew itself, or one whose lanes have room for their parts of a stage: who has too little gets what fits, the others share the
 * rest by speed. Null where there is none.
 */
export function fittedCrew(
  { workers }: Problem,
  crews: Crews,
  memory: StageMemory,
  crew: Crew,
  inFlight: number,
): Crew | null {
  const caps = new Map<number, number>();
  let fitted = crew;
  for (let round = 0; round < CAPPING_ROUNDS; round++) {
    const over = crew.lanes.flatMap((worker, k) => {
      const bytes = laneBytes(memory, fitted, k, inFlight);
      return bytes > workers[worker].memoryBytes ? [{ k, part: workers[worker].memoryBytes / bytes }] : [];
    });
    if (over.length === 0) return fitted;
    // What is not shared out stays whatever the share, so it takes a few rounds.
    for (const { k, part } of over) caps.set(k, fitted.shares[k] * part * 0.99);
    const free = crew.lanes.map((_, k) => k).filter((k) => !caps.has(k));
    const capped = [...caps.values()].reduce((sum, share) => sum + share, 0);
    if (free.length === 0 || capped >= 1) return null;
    const freeShares = free.reduce((sum, k) => sum + crew.shares[k], 0);
    const shares = crew.shares.map((share, k) => caps.get(k) ?? ((1 - capped) * share) / freeShares);
    fitted = crews.withShares(crew.lanes, shares);
  }
  return null;
}
