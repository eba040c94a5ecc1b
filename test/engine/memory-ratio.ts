import { widthOf } from '../../client/model/graph.ts';
import { blockOf } from './support.ts';
import type { BlockSpec, Compute, MemoryUse } from '../../client/ports/compute.ts';
import type { ModelSpec, OptimizerConfig } from '../../shared/model.ts';

export const ROWS = 32;

/** 784-256-128-64-10, as people train it on MNIST. */
export const digits: ModelSpec = {
  name: 'digits',
  inputShape: [784],
  layers: [256, 128, 64, 10].map((units, i) => ({
    kind: 'dense',
    name: `dense${i + 1}`,
    units,
    activation: i === 3 ? 'linear' : 'relu',
    useBias: true,
  })),
  loss: 'softmaxCrossEntropy',
};

/** Layers [from, to) of `digits`. */
export function digitsBlock(kind: OptimizerConfig['kind'], from: number, to: number): BlockSpec {
  const block = blockOf(
    digits,
    { kind, learningRate: 0.01, decay: 'constant' },
    { from, to, rows: ROWS, seed: 1 },
  );
  return from > 0
    ? block
    : { ...block, input: { kind: 'samples', normalisation: { mean: 0.1307, deviation: 0.3081 } } };
}

/** One optimizer step: all forwards (`inFlight` at a time) before their backwards. */
export async function trainStep(
  compute: Compute,
  block: BlockSpec,
  micros: number,
  inFlight: number,
): Promise<void> {
  const { registers, segments } = block;
  const inputs = widthOf(registers[segments[0].input!].shape);
  const units = widthOf(registers[segments[0].ops.at(-1)!.output].shape);
  for (let first = 0; first < micros; first += inFlight) {
    const run = Array.from({ length: Math.min(inFlight, micros - first) }, (_, i) => first + i);
    for (const micro of run) {
      const count = ROWS * inputs;
      const input =
        block.input.kind === 'samples'
          ? Uint8Array.from({ length: count }, (_, i) => (i * 31 + micro) % 256)
          : Float32Array.from({ length: count }, (_, i) => Math.sin(i + micro));
      const labels = Uint8Array.from({ length: ROWS }, (_, i) => (i * 7) % 10);
      await compute.forward({ segment: 0, step: 0, micro, rows: ROWS, input, labels, training: true });
    }
    for (const micro of run) {
      const gradient = Float32Array.from({ length: ROWS * units }, (_, i) => 0.01 * Math.cos(i));
      await compute.backward({ segment: 0, micro, ...(!block.head && { gradient }) });
    }
  }
  await compute.step({ counted: micros, learningRate: 0.01 });
}

/** Peak tensor bytes over what the block must hold. */
export function ratio({ peakBytes, accounted }: MemoryUse): number {
  return peakBytes / Object.values(accounted).reduce((sum, bytes) => sum + bytes, 0);
}

/** [from, to) of every run of adjacent layers. */
export const RUNS_OF_LAYERS = [0, 1, 2, 3].flatMap((from) =>
  [1, 2, 3, 4].filter((to) => to > from).map((to) => [from, to] as const),
);
