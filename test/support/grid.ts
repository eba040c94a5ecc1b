import { openBackend } from '../../client/engine/backend.ts';
import { TfCompute } from '../../client/engine/tf-compute.ts';
import { browserClock } from '../../client/link/clock.ts';
import { sizeOf } from '../../client/model/graph.ts';
import { overlay } from '../../client/model/pieces.ts';
import { passageWidth, programOf } from '../../client/partition/exchange.ts';
import {
  assignmentOf,
  partitionOfPlan,
  type Assignment,
  type BoundarySide,
  type BoundaryView,
  type LaneEnd,
  type SegmentView,
} from '../../client/pipeline/assignment.ts';
import { addRange, takeRange } from '../../client/pipeline/parts.ts';
import type { Compute, Metrics, NamedArray } from '../../client/ports/compute.ts';
import type { PeerId } from '../../shared/ids.ts';
import type { ModelSpec, OptimizerConfig } from '../../shared/model.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Order, Plan, Stage } from '../../shared/schema/plan.ts';
import { NORMALISATION, type ByteBatch } from './numbers.ts';
import { wholeParameters } from './reference.ts';

export interface GridOptions {
  model: ModelSpec;
  stages: Stage[];
  orders?: Order[];
  optimizer: OptimizerConfig;
  seed: number;
  /** Rows of a micro-batch. */
  rows: number;
  microBatches: number;
}

/** One lane at work. */
interface Cell {
  peer: PeerId;
  assignment: Assignment;
  compute: Compute;
  /** The partition's index of each of the assignment's segments. */
  indices: number[];
}

interface Part extends Pick<LaneEnd, 'range'> {
  from: PeerId;
  data: Float32Array;
}

const cpu = await openBackend('cpu');

/**
 * A partition at work in one process: blocks as peers hold them, in the order in which a pipeline would run them if it were in no
 * hurry. What a real room adds are frames, links and time.
 */
export class Grid {
  /** On the way, by direction, boundary and receiving peer. */
  readonly #parts = new Map<string, Part[]>();

  private constructor(
    private readonly options: GridOptions,
    private readonly cells: Cell[][],
    private readonly segmentStages: number[],
  ) {}

  static async open(options: GridOptions): Promise<Grid> {
    const { plan, config } = planFor(options);
    const partition = partitionOfPlan(plan, config);
    const cells: Cell[][] = [];
    for (const [stage, { lanes }] of plan.stages.entries()) {
      cells.push([]);
      for (const [lane, peer] of lanes.entries()) {
        const assignment = assignmentOf(plan, config, { normalisation: NORMALISATION }, peer)!;
        const compute = new TfCompute(cpu, 'process', browserClock);
        await compute.load(assignment.block, []);
        const { indices } = programOf(partition, stage, lane);
        cells[stage].push({
          peer,
          assignment,
          compute,
          indices: assignment.segments.map(({ index }) => indices[index]),
        });
      }
    }
    return new Grid(
      options,
      cells,
      partition.segments.map(({ stage }) => stage),
    );
  }

  /** One optimizer step over `batches`; the mean loss of its samples. */
  async step(batches: readonly ByteBatch[], learningRate: number, step: number): Promise<number> {
    for (const [micro, batch] of batches.entries()) {
      for (let segment = 0; segment < this.segmentStages.length; segment++) {
        await this.#each(segment, async (cell, view) => {
          await this.#forward(cell, view, micro, step, batch, true);
        });
      }
    }
    for (const [micro, { rows }] of batches.entries()) {
      for (let segment = this.segmentStages.length - 1; segment >= 0; segment--) {
        await this.#each(segment, (cell, view) => this.#backward(cell, view, micro, rows));
      }
    }
    // As late as training may do them, and as many at once.
    const micros = [...batches.keys()];
    for (let segment = 0; segment < this.segmentStages.length; segment++) {
      await this.#each(segment, async ({ compute }, { defers, index }) => {
        if (defers) await compute.weights({ segment: index, micros });
      });
    }
    const metrics: Metrics[] = [];
    for (const { compute, assignment } of this.cells.flat()) {
      const result = await compute.step({ counted: batches.length, learningRate });
      if (result.metrics && assignment.isHead) metrics.push(result.metrics);
    }
    if (this.#parts.size > 0)
      throw new Error(`parts of ${[...this.#parts.keys()].join(', ')} were never taken`);
    if (metrics.length !== 1) throw new Error(`${metrics.length} blocks gave a loss`);
    return metrics[0].lossSum / metrics[0].samples;
  }

  /** The loss and the right answers of a batch of any size, forward only. */
  async evaluate(batch: ByteBatch): Promise<Metrics> {
    const found: Metrics[] = [];
    for (let segment = 0; segment < this.segmentStages.length; segment++) {
      await this.#each(segment, async (cell, view) => {
        const metrics = await this.#forward(cell, view, 0, 0, batch, false);
        if (metrics && cell.assignment.isHead) found.push(metrics);
      });
    }
    if (found.length !== 1) throw new Error(`${found.length} blocks gave metrics`);
    return found[0];
  }

  /** All parameters, put together from what the lanes hold; every number once. */
  async parameters(): Promise<NamedArray[]> {
    const wholes = wholeParameters(this.options.model).map(({ name, shape }): NamedArray => ({
      name,
      shape,
      data: new Float32Array(sizeOf(shape)),
    }));
    const counts = new Map<string, number>();
    for (const { assignment, compute } of this.cells.flat()) {
      const ops = assignment.block.segments.flatMap((segment) => segment.ops);
      const layers = new Set(ops.filter(({ parameters }) => parameters.length > 0).map(({ layer }) => layer));
      for (const layer of layers) {
        const { parameters } = await compute.read(layer);
        for (const piece of parameters) {
          const whole = wholes.find(({ name }) => name === piece.name);
          if (!whole) throw new Error(`${piece.name} is no parameter of the model`);
          counts.set(whole.name, (counts.get(whole.name) ?? 0) + overlay(whole.shape, whole, piece));
        }
      }
    }
    for (const { name, data } of wholes) {
      const count = counts.get(name) ?? 0;
      if (count !== data.length)
        throw new Error(`of ${data.length} numbers of ${name}, the lanes hold ${count}`);
    }
    return wholes;
  }

  /** The most tensor bytes that each block had at once, stage by stage, lane by lane. */
  peakBytes(): Promise<number[][]> {
    return Promise.all(
      this.cells.map((lanes) =>
        Promise.all(lanes.map(async ({ compute }) => (await compute.memory()).peakBytes)),
      ),
    );
  }

  close(): void {
    for (const { compute } of this.cells.flat()) compute.close();
  }

  async #each(segment: number, run: (cell: Cell, view: SegmentView) => Promise<void>): Promise<void> {
    for (const cell of this.cells[this.segmentStages[segment]]) {
      const i = cell.indices.indexOf(segment);
      if (i >= 0) await run(cell, cell.assignment.segments[i]);
    }
  }

  async #forward(
    cell: Cell,
    view: SegmentView,
    micro: number,
    step: number,
    { rows, samples, labels }: ByteBatch,
    training: boolean,
  ): Promise<Metrics | undefined> {
    const arrived = view.before && this.#take('forward', cell, view.before, rows);
    const input = view.takesSamples ? samples.slice() : arrived;
    const { output, metrics } = await cell.compute.forward({
      segment: view.index,
      micro,
      step,
      rows,
      training,
      measure: micro === 0 && step % 2 === 0,
      ...(input && { input }),
      ...(view.endsModel && { labels }),
    });
    if (view.after) this.#send('forward', cell, view.after, rows, output);
    return metrics;
  }

  async #backward(cell: Cell, view: SegmentView, micro: number, rows: number): Promise<void> {
    const gradient = view.after && this.#take('backward', cell, gradientsOf(view.after), rows);
    const result = await cell.compute.backward({
      segment: view.index,
      micro,
      defer: view.defers,
      ...(gradient && { gradient }),
    });
    if (view.before) this.#send('backward', cell, gradientsOf(view.before), rows, result.gradient);
  }

  #send(
    direction: 'forward' | 'backward',
    { peer: from }: Cell,
    { index, shape, held, ends }: BoundaryView,
    rows: number,
    data: Float32Array | undefined,
  ): void {
    if (!data) throw new Error(`nothing came ${direction} out of boundary ${index}`);
    for (const { peer, range } of ends) {
      const key = `${direction}/${index}/${peer}`;
      const part = { from, range, data: takeRange(data, rows, shape, held, range) };
      this.#parts.set(key, [...(this.#parts.get(key) ?? []), part]);
    }
  }

  #take(
    direction: 'forward' | 'backward',
    { peer: to }: Cell,
    { index, shape, held, ends }: BoundaryView,
    rows: number,
  ): Float32Array {
    const key = `${direction}/${index}/${to}`;
    const parts = this.#parts.get(key) ?? [];
    this.#parts.delete(key);
    const register = new Float32Array(rows * passageWidth(shape, held));
    for (const { peer, range } of ends) {
      const part = parts.find(({ from }) => from === peer);
      if (part?.range.join() !== range.join())
        throw new Error(`the two sides of ${key} disagree about ${peer}`);
      addRange(register, part.data, rows, shape, held, range);
    }
    if (parts.length !== ends.length) throw new Error(`more came to ${key} than it expects`);
    return register;
  }
}

const gradientsOf = (side: BoundarySide): BoundaryView => ({ ...side, ends: side.gradientEnds });

function planFor({ model, stages, orders = [], optimizer, seed, rows, microBatches }: GridOptions): {
  plan: Plan;
  config: RunConfig;
} {
  const plan: Plan = {
    term: { counter: 1, peer: stages[0].lanes[0] },
    version: 1,
    run: 1,
    startStep: 0,
    endStep: 1,
    stages,
    wire: 'float32',
    orders,
    sources: [],
    standby: [],
    dataHomes: [stages[0].lanes[0]],
    predicted: { stepMs: 0, stageMs: [], memoryBytes: [], why: '' },
  };
  const config: RunConfig = {
    task: 'mnist',
    model,
    partition: 'auto',
    grid: null,
    shares: 'measured',
    wire: 'float32',
    steps: 1,
    batch: rows * microBatches,
    microBatches,
    optimizer,
    seed,
    onDeparture: 'continue',
  };
  return { plan, config };
}
