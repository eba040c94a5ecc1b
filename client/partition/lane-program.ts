import type { UnitRange } from '../../shared/model.ts';
import type { Split } from '../../shared/schema/plan.ts';
import { tensorOf, type Node } from '../model/graph.ts';
import type { BlockOp, BlockSegment, Register } from '../ports/compute.ts';
import { spreadKey } from './layout.ts';
import { adderOf, heldBy, type Partition, type Spread, type Work } from './partition.ts';

/** What one lane computes: its registers and its part of every segment of its stage, in order. */
export interface LaneProgram {
  /** Index (in the partition) of each entry of `segments`. */
  indices: number[];
  registers: Register[];
  segments: BlockSegment[];
}

/** The program of one lane. Works of which this lane has no units are left out, and so is what nobody would read. */
export function laneProgram(partition: Partition, stage: number, lane: number): LaneProgram {
  return new ProgramBuilder(partition, stage, lane).build();
}

/** Lanes of stage `to` that a lane holding a copy sends to: copies are all alike, so each receiver gets one from one sender. */
export const servedBy = (lane: number, senders: number, receivers: number): number[] =>
  Array.from({ length: receivers }, (_, i) => i).filter((i) => i % senders === lane);

class ProgramBuilder {
  readonly #registers: Register[] = [];
  /** By `spreadKey`. */
  readonly #numbers = new Map<number, number>();
  /** Registers that are filled by what was looked at so far. */
  readonly #filled = new Set<number>();

  constructor(
    private readonly partition: Partition,
    private readonly stage: number,
    private readonly lane: number,
  ) {}

  build(): LaneProgram {
    const own = this.partition.segments.filter((segment) => segment.stage === this.stage);
    const all = this.partition.graph.nodes.reduce((sum, node) => sum + node.operations, 0);
    const entries: (number | null)[] = [];
    const drafts = own.map(({ index, entry, works }) => {
      const spread: Spread | null = index === 0 ? { tensor: -1, layout: 'copies' } : entry;
      const register = spread && this.#register(spread);
      entries.push(register);
      if (register !== null) this.#filled.add(register);
      return works.flatMap((work) => this.#ops(work));
    });
    const exits = own.map((segment) =>
      segment.exit && this.#sends(segment.index) ? this.#filledBy(segment.exit) : null,
    );
    this.#prune(drafts, exits, entries);
    const segments = own.map((_, i): BlockSegment => {
      const operations = drafts[i].reduce((sum, op) => sum + this.#operations(op), 0);
      return { input: entries[i], ops: drafts[i], output: exits[i], share: operations / all };
    });
    return { indices: own.map(({ index }) => index), registers: this.#registers, segments };
  }

  /** Whether what leaves a segment leaves from this lane. */
  #sends(segment: number): boolean {
    if (this.partition.boundaries[segment].from.layout !== 'copies') return true;
    const receivers = this.partition.stages[this.stage + 1].lanes.length;
    return servedBy(this.lane, this.partition.stages[this.stage].lanes.length, receivers).length > 0;
  }

  /** The number of a spread's register on this lane; null where the lane has nothing of it. */
  #register(spread: Spread): number | null {
    const held = heldBy(this.partition, this.stage, this.lane, spread);
    return held && (this.#copyOf(spread, held) ?? this.#numberOf(spread, held));
  }

  /** The register of the copy that a lane has of a tensor, where it takes all of it: then nothing is narrowed. */
  #copyOf({ tensor, layout }: Spread, [start, end]: UnitRange): number | null {
    const copies = this.#numbers.get(spreadKey(tensor, 'copies'));
    const isNew = layout !== 'partial' && !this.#numbers.has(spreadKey(tensor, layout));
    if (copies === undefined || !isNew || !this.#filled.has(copies)) return null;
    if (start > 0 || end < tensorOf(this.partition.graph, tensor).units) return null;
    this.#numbers.set(spreadKey(tensor, layout), copies);
    return copies;
  }

  /** The number of a spread's register where this lane has something of it: a lane without inputs has no summand. */
  #filledBy({ tensor, layout }: Spread): number | null {
    const number = this.#numbers.get(spreadKey(tensor, layout));
    return number !== undefined && this.#filled.has(number) ? number : null;
  }

  #numberOf(spread: Spread, held: UnitRange): number {
    const key = spreadKey(spread.tensor, spread.layout);
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#registers.length;
      this.#registers.push({ shape: tensorOf(this.partition.graph, spread.tensor), held });
      this.#numbers.set(key, number);
    }
    return number;
  }

  /** The work as this lane does it, after narrowing the copies that it takes slices of. */
  #ops({ node, inputs, output }: Work): BlockOp[] {
    if (this.#splitOf(node) === 'summand' && this.lane !== adderOf(this.partition, this.stage, node)) {
      this.#passOn(inputs[0], output);
      return [];
    }
    const target = this.#register(output);
    if (target === null) return [];
    const narrowing: BlockOp[] = [];
    const sources: number[] = [];
    for (const input of inputs) {
      const source = this.#register(input);
      if (source === null) return [];
      sources.push(source);
      if (this.#filled.has(source)) continue;
      const copies = this.#numbers.get(spreadKey(input.tensor, 'copies'));
      if (copies === undefined) return [];
      this.#filled.add(source);
      narrowing.push({
        node: node.index,
        layer: node.layer,
        op: { kind: 'narrow' },
        inputs: [copies],
        output: source,
        parameters: [],
        measures: false,
      });
    }
    this.#filled.add(target);
    const { op, layer, index, parameters } = node;
    const isWhole = output.layout === 'slices' || output.layout === 'owner';
    const measures =
      isWhole && !this.partition.graph.spaces[node.output.space].pinned && this.#endsChain(index);
    return [...narrowing, { node: index, layer, op, inputs: sources, output: target, parameters, measures }];
  }

  #splitOf({ index }: Node): Split {
    const { nodes, splits } = this.partition.stages[this.stage];
    return splits[index - nodes[0]];
  }

  /** A summand goes on as it is. */
  #passOn(from: Spread, to: Spread): void {
    const number = this.#numbers.get(spreadKey(from.tensor, from.layout));
    if (number !== undefined) this.#numbers.set(spreadKey(to.tensor, to.layout), number);
  }

  /** True where other units are computed from a node's output, here or beyond a boundary: not only a way station of its own. */
  #endsChain(index: number): boolean {
    const { graph, segments } = this.partition;
    const isExit = segments.some(({ exit, stage }) => exit?.tensor === index && stage === this.stage);
    return isExit || graph.nodes.some((node) => node.kind !== 'unitwise' && node.inputs.includes(index));
  }

  /** Drops, from the end, what no kept op and no boundary reads. Changes its arguments. */
  #prune(drafts: BlockOp[][], exits: (number | null)[], entries: (number | null)[]): void {
    const live = new Set<number>();
    const end = this.partition.graph.nodes.length - 1;
    for (let i = drafts.length - 1; i >= 0; i--) {
      const exit = exits[i];
      if (exit !== null) live.add(exit);
      drafts[i] = drafts[i]
        .toReversed()
        .filter((op) => {
          if (!live.has(op.output) && op.node !== end) return false;
          for (const input of op.inputs) live.add(input);
          return true;
        })
        .toReversed();
      const entry = entries[i];
      const isLoss = i === drafts.length - 1 && this.#endsInCopy(entry) && this.#needsLoss(exits[i - 1]);
      if (entry !== null && !live.has(entry) && !isLoss) entries[i] = null;
    }
  }

  /** A lane that adds nothing to the scores makes no loss, but for the owner, which tells of it. */
  #needsLoss(summand: number | null | undefined): boolean {
    return typeof summand === 'number' || this.lane === this.partition.stages[this.stage].owner;
  }

  /** True where a register is all that the loss is made of, as it comes in. */
  #endsInCopy(register: number | null): boolean {
    const { graph, segments } = this.partition;
    return (
      register !== null &&
      segments.at(-1)!.works.length === 0 &&
      this.stage === segments.at(-1)!.stage &&
      register === this.#numbers.get(spreadKey(graph.nodes.length - 1, 'copies'))
    );
  }

  #operations({ node, op, inputs, output }: BlockOp): number {
    if (op.kind === 'narrow') return 0;
    const { operations, kind } = this.partition.graph.nodes[node];
    const share = (register: number) => {
      const { shape, held } = this.#registers[register];
      return (held[1] - held[0]) / shape.units;
    };
    return operations * share(output) * (kind === 'linear' ? share(inputs[0]) : 1);
  }
}
