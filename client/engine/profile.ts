import { engine, tensor2d, type Tensor2D } from '@tensorflow/tfjs-core';
import { sizeOf } from '../model/shapes.ts';
import type { Clock } from '../ports/clock.ts';
import type { BlockLayer, BlockSpec, LayerCost } from '../ports/compute.ts';
import { HeldLayer } from './held-layer.ts';
import type { Kernels } from './kernels/index.ts';
import { layerKind } from './layers/index.ts';

/** For all layers together; a single run of a huge layer may exceed it. */
const BUDGET_MS = 1000;
const RUNS = 7;
/** A run repeats the layer until it is this long, so that the clock's grain (up to 1 ms) does not show. */
const RUN_MS = 10;

/** Times one layer after another on arbitrary numbers, and lets go of each before the next. */
export function profileLayers(
  kernels: Kernels,
  layers: readonly BlockLayer[],
  rows: number,
  clock: Clock,
): LayerCost[] {
  return layers.map((layer) => {
    engine().startScope('profile');
    try {
      return profileLayer(kernels, layer, rows, clock, BUDGET_MS / layers.length);
    } finally {
      engine().endScope();
    }
  });
}

function profileLayer(
  kernels: Kernels,
  layer: BlockLayer,
  rows: number,
  clock: Clock,
  budgetMs: number,
): LayerCost {
  const parameters = layerKind(layer.spec).initial(1, layer);
  const block: Pick<BlockSpec, 'optimizer'> = {
    optimizer: { kind: 'sgd', learningRate: 0, decay: 'constant' },
  };
  const { compute } = new HeldLayer(kernels, block, { layer, updates: 0, parameters, optimizer: new Map() });
  const input = numbers(rows, sizeOf(layer.inputShape));
  const output = compute.forward(input);
  const gradient = numbers(rows, output.shape[1]);
  const forward = () => compute.forward(input);
  const backward = () =>
    compute.backward(
      { input, output: output.clone(), releaseInput: () => undefined },
      gradient.clone(),
      true,
    )!;
  return {
    layer: layer.spec.name,
    forwardMs: time(forward, clock, budgetMs / 2),
    backwardMs: time(backward, clock, budgetMs / 2),
  };
}

/** The median over some runs of one call of `work`, in milliseconds. Reading a result waits for the device. */
function time(work: () => Tensor2D, clock: Clock, budgetMs: number): number {
  const run = (repeats: number): number => {
    const start = clock.now();
    for (let i = 1; i < repeats; i++) work().dispose();
    const last = work();
    last.dataSync();
    last.dispose();
    return clock.now() - start;
  };
  run(1);
  const once = run(1);
  const repeats = Math.max(1, Math.min(20, Math.ceil(RUN_MS / Math.max(once, 0.1))));
  const runs = Math.max(1, Math.min(RUNS, Math.floor(budgetMs / Math.max(once * repeats, 0.1))));
  const times = Array.from({ length: runs }, () => run(repeats) / repeats).sort((a, b) => a - b);
  return times[times.length >> 1];
}

/** Between -1 and 1; not random, so that every device times the same work. */
const numbers = (rows: number, columns: number): Tensor2D =>
  tensor2d(
    Float32Array.from({ length: rows * columns }, (_, i) => Math.sin(i)),
    [rows, columns],
  );
