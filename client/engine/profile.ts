import { engine } from '@tensorflow/tfjs-core';
import type { Clock } from '../ports/clock.ts';
import type { BlockCost, BlockSpec } from '../ports/compute.ts';
import { Block } from './block.ts';
import { busySegments } from './block-plan.ts';
import type { Kernels } from './kernels/index.ts';
import { registerWidth } from './matrix.ts';
import { startingPoint } from './starting-point.ts';

/** For all blocks together; a single pass of a huge one may exceed it. */
const BUDGET_MS = 4000;
const PASSES = 7;
/** Two would be a matter of luck on a processor that is shared. */
const PASSES_LEAST = 3;

/** Times one small block after another on arbitrary numbers, as in training, and lets go of each before the next. */
export function profileBlocks(kernels: Kernels, blocks: readonly BlockSpec[], clock: Clock): BlockCost[] {
  return blocks.map((spec) => {
    engine().startScope('profile');
    try {
      return profileBlock(kernels, spec, clock, BUDGET_MS / blocks.length);
    } finally {
      engine().endScope();
    }
  });
}

function profileBlock(kernels: Kernels, spec: BlockSpec, clock: Clock, budgetMs: number): BlockCost {
  const block = new Block(kernels, spec, startingPoint(spec, []));
  try {
    const passes: BlockCost[] = [];
    const startMs = clock.now();
    // The first pass compiles shaders and does not count.
    for (let pass = 0; pass <= PASSES; pass++) {
      const cost = passThrough(block, spec, clock);
      if (pass > 0) passes.push(cost);
      if (pass >= PASSES_LEAST && clock.now() - startMs > budgetMs) break;
    }
    return {
      forwardMs: median(passes.map(({ forwardMs }) => forwardMs)),
      backwardMs: median(passes.map(({ backwardMs }) => backwardMs)),
      weightsMs: median(passes.map(({ weightsMs }) => weightsMs)),
    };
  } finally {
    block.dispose();
  }
}

/** One micro-batch, there and back. Reading the results waits for the device. */
function passThrough(block: Block, spec: BlockSpec, clock: Clock): BlockCost {
  const { rows, registers, segments } = spec;
  const busy = busySegments(segments);
  const countOf = (register: number) => rows * registerWidth(registers[register]);
  const inputs = busy.map((segment) => {
    const { input } = segments[segment];
    return input === null ? undefined : inputOf(spec, countOf(input));
  });
  const gradients = busy.map((segment) => {
    const { output } = segments[segment];
    return output === null ? undefined : waves(countOf(output));
  });
  const startMs = clock.now();
  for (const [i, segment] of busy.entries()) {
    const input = inputs[i];
    block.forward({ segment, micro: 0, step: 0, rows, training: true, ...(input && { input }) });
  }
  const turnMs = clock.now();
  const forwardMs = turnMs - startMs;
  for (const [i, segment] of [...busy.entries()].reverse()) {
    const gradient = gradients[i];
    block.backward({ segment, micro: 0, defer: true, ...(gradient && { gradient }) });
  }
  const weightsStartMs = clock.now();
  for (const segment of busy) block.weights({ segment, micros: [0] });
  // Gradient sums stay on the device: reading a number of them waits until they are there.
  block.settle();
  const endMs = clock.now();
  block.abandon();
  return { forwardMs, backwardMs: endMs - turnMs, weightsMs: endMs - weightsStartMs };
}

const inputOf = ({ input }: BlockSpec, count: number): Float32Array | Uint8Array =>
  input.kind === 'samples' ? Uint8Array.from({ length: count }, (_, i) => (i * 37) % 256) : waves(count);

/** Between -1 and 1; not random, so that every device times the same work. */
const waves = (count: number): Float32Array => {
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i++) numbers[i] = ((i * 37) % 64) / 32 - 1;
  return numbers;
};

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;
