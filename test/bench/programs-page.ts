import '@tensorflow/tfjs-backend-webgl';
import { runConfig } from '../../client/defaults.ts';
import { openBackend } from '../../client/engine/backend.ts';
import { Block } from '../../client/engine/block.ts';
import { webglBackend, type WebglBackend } from '../../client/engine/kernels/webgl-backend.ts';
import { registerWidth } from '../../client/engine/matrix.ts';
import { startingPoint } from '../../client/engine/starting-point.ts';
import { modelGraph, type ModelGraph } from '../../client/model/graph.ts';
import { readModel } from '../../client/model/models.ts';
import { assignmentOf } from '../../client/pipeline/assignment.ts';
import type { BlockSpec } from '../../client/ports/compute.ts';
import { cutsBy, oneLaneStage, slicingsFor, splitsFor } from '../../client/partition/stages.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { planOf } from '../support/plans.ts';

export interface ProgramsCase {
  model: string;
  batch: number;
  microBatches: number;
  /** 1: the whole model in one block. */
  lanes: number;
  /** How each product is cut over the lanes. */
  splits: readonly ('columns' | 'rows')[];
  turns: number;
}

/** What one program of a step took. */
export interface ProgramTime {
  /** Its inputs and the shapes of its result and of them. */
  program: string;
  /** In a step. */
  runs: number;
  /** Milliseconds of all its runs in a step, by turn. */
  times: number[];
}

const INPUTS = 784;
const CLASSES = 10;
const NORMALISATION = { mean: 0.1307, deviation: 0.3081 };
const FIRST_TURNS = 1;
const MERGED = 4;

/** Runs the steps of the first lane's block and waits for the device after each program. */
async function programTimes(wish: ProgramsCase): Promise<ProgramTime[]> {
  const device = await openBackend();
  if (device.name !== 'webgl') throw new Error(device.note);
  const spec = blockOf(wish);
  const block = new Block(device.kernels, spec, startingPoint(spec, []));
  const all = new Map<string, ProgramTime>();
  let turn = -FIRST_TURNS;
  const restore = timed(webglBackend(), (program, ms) => {
    if (turn < 0) return;
    const entry = all.get(program) ?? { program, runs: 0, times: [] };
    all.set(program, entry);
    if (turn === 0) entry.runs++;
    entry.times[turn] = (entry.times[turn] ?? 0) + ms;
  });
  try {
    for (; turn < wish.turns; turn++) step(block, spec, wish.microBatches);
  } finally {
    restore();
    block.dispose();
  }
  return [...all.values()];
}

function blockOf({ model, batch, microBatches, lanes: count, splits: cuts }: ProgramsCase): BlockSpec {
  const spec = readModel(model, INPUTS, CLASSES);
  const lanes = Array.from({ length: count }, (_, lane) => `p00000000${lane}`);
  const graph = modelGraph(spec);
  const nodes: [number, number] = [0, graph.nodes.length];
  const products = graph.nodes.filter(({ kind }) => kind === 'linear').map(({ index }) => index);
  const stage =
    count === 1
      ? oneLaneStage(nodes, lanes[0])
      : lanesStage(graph, nodes, lanes, (node) => cuts[products.indexOf(node)]);
  const config = runConfig({ model: spec, batch, microBatches, optimizer: 'sgd', decay: 'constant' });
  return assignmentOf(planOf([stage], lanes[0]), config, { normalisation: NORMALISATION }, lanes[0])!.block;
}

function lanesStage(
  graph: ModelGraph,
  nodes: [number, number],
  lanes: string[],
  cutOf: (node: number) => ProgramsCase['splits'][number] | undefined,
): Stage {
  const splits = splitsFor(graph, nodes, (node) => cutOf(node) ?? 'columns', 'copies');
  const even = lanes.map(() => 1);
  const slicings = slicingsFor(graph, nodes, splits, (space) => cutsBy(graph.spaces[space].units, even));
  return { nodes, splits, lanes, slicings, owner: 0, deputy: 1 };
}

function step(block: Block, { registers, segments, head, rows }: BlockSpec, microBatches: number): void {
  const widths = registers.map(registerWidth);
  const busy = segments.flatMap(({ input, ops, output }, segment) =>
    input === null && ops.length === 0 && output === null ? [] : [{ segment, input, output }],
  );
  const numbers = (register: number) => new Float32Array(rows * widths[register]).map((_, i) => Math.sin(i));
  // A room of one sums the weight gradients of several at once.
  const isAlone = segments.length === 1 && microBatches > 1;
  const pending: number[] = [];
  for (let micro = 0; micro < microBatches; micro++) {
    for (const { segment, input } of busy) {
      const isSamples = segment === 0;
      block.forward({
        segment,
        micro,
        step: 0,
        rows,
        training: true,
        ...(input !== null && {
          input: isSamples
            ? Uint8Array.from({ length: rows * widths[input] }, (_, i) => (i * 37) % 256)
            : numbers(input),
        }),
        ...(head &&
          segment === segments.length - 1 && {
            labels: Uint8Array.from({ length: rows }, (_, i) => i % CLASSES),
          }),
      });
    }
    for (const { segment, output } of busy.toReversed())
      block.backward({
        segment,
        micro,
        defer: isAlone,
        ...(output !== null && { gradient: numbers(output) }),
      });
    pending.push(micro);
    if (isAlone && (pending.length === MERGED || micro === microBatches - 1))
      for (const { segment } of busy) block.weights({ segment, micros: pending.splice(0) });
  }
  block.step({ learningRate: 0, counted: microBatches, step: 0 });
}

/** Has `note` told of every program's time; the result ends that. */
function timed(backend: WebglBackend, note: (program: string, ms: number) => void): () => void {
  const { gl } = backend.gpgpu;
  const run = backend.runWebGLProgram.bind(backend);
  const settle = () => gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.FLOAT, new Float32Array(4));
  backend.runWebGLProgram = (program, inputs, ...rest) => {
    const start = performance.now();
    const result = run(program, inputs, ...rest);
    settle();
    const shapes = inputs.map(({ shape }, i) => `${program.variableNames[i]} ${shape.join('x')}`);
    note(`${program.outputShape.join('x')} of ${shapes.join(', ')}`, performance.now() - start);
    return result;
  };
  return () => {
    backend.runWebGLProgram = run;
  };
}

Object.assign(globalThis, { programTimes });
