import assert from 'node:assert/strict';
import { widthOf } from '../../client/model/graph.ts';
import { entriesOf, pieceShape } from '../../client/model/pieces.ts';
import { passagesOf, programOf, type Passage } from '../../client/partition/exchange.ts';
import type { LaneProgram } from '../../client/partition/lane-program.ts';
import type { Partition } from '../../client/partition/partition.ts';
import type { UnitRange } from '../../shared/model.ts';

/** A stand-in for training: walks the programs of all lanes and looks at what is there, without a number being computed. */

export const programs = (partition: Partition): { stage: number; lane: number; program: LaneProgram }[] =>
  partition.stages.flatMap(({ lanes }, stage) =>
    lanes.map((_, lane) => ({ stage, lane, program: programOf(partition, stage, lane) })),
  );

/** Every register is written once, by an op or a boundary, before it is read or sent; nothing is computed for nobody. */
export function assertRunnable({ segments, registers }: LaneProgram, makesLoss: boolean): void {
  const written = new Set<number>();
  const used = new Set<number>();
  const write = (register: number) => {
    assert.ok(!written.has(register), `register ${register} is written twice`);
    written.add(register);
  };
  const use = (register: number, what: string) => {
    assert.ok(written.has(register), `${what} uses register ${register}, which is empty`);
    used.add(register);
  };
  for (const { input, ops, output } of segments) {
    if (input !== null) write(input);
    for (const { layer, inputs, output: target } of ops) {
      for (const register of inputs) use(register, layer);
      write(target);
    }
    if (output !== null) use(output, 'a boundary');
  }
  const unused = [...written].filter((register) => !used.has(register));
  assert.equal(unused.length, makesLoss ? 1 : 0, `registers ${unused.join()} are read by nothing`);
  for (const { held } of registers) assert.ok(held[0] < held[1], 'a register holds units');
}

/** What the receivers of a boundary need comes once from somewhere, and where sums are completed once from all that have a summand. */
export function assertCovered(partition: Partition, index: number): void {
  const { from } = partition.boundaries[index];
  const passages = passagesOf(partition, index);
  const senders = sides(partition, index, 'output');
  const receivers = sides(partition, index + 1, 'input');
  for (const { from: sender, to: receiver, range } of passages) {
    const held = senders.get(sender);
    const wanted = receivers.get(receiver);
    assert.ok(held && wanted, `lane ${sender} sends to lane ${receiver}, but one of them has no part in it`);
    assert.ok(isWithin(range, held) && isWithin(range, wanted), 'what passes is held on both sides');
  }
  assert.equal(new Set(passages.map(({ from: a, to: b }) => `${a}/${b}`)).size, passages.length);
  assert.ok(receivers.size > 0, 'somebody receives');
  for (const [receiver, held] of receivers) {
    const parts = passages.filter(({ to }) => to === receiver);
    for (let position = held[0]; position < held[1]; position++) {
      const froms = parts
        .filter(({ range }) => range[0] <= position && position < range[1])
        .map((part) => part.from);
      if (from.layout === 'partial') assert.deepEqual(froms.sort(), [...senders.keys()].sort());
      else
        assert.equal(froms.length, 1, `position ${position} comes ${froms.length} times to lane ${receiver}`);
    }
  }
  // A lane with a copy sends it even where those it serves have no units in this.
  const idle = [...senders.keys()].filter((lane) => !passages.some((part) => part.from === lane));
  if (from.layout !== 'copies') assert.deepEqual(idle, [], 'who sends has somebody to send to');
}

/** The positions that each lane has on its side of a boundary. */
function sides(partition: Partition, segment: number, side: 'input' | 'output'): Map<number, UnitRange> {
  const { stage } = partition.segments[segment];
  return new Map(
    partition.stages[stage].lanes.flatMap((_, lane): [number, UnitRange][] => {
      const { indices, segments, registers } = programOf(partition, stage, lane);
      const register = segments[indices.indexOf(segment)][side];
      return register === null ? [] : [[lane, registers[register].held]];
    }),
  );
}

const isWithin = ([start, end]: UnitRange, [first, last]: UnitRange): boolean =>
  first <= start && end <= last;

/** Every entry of every parameter has one owner, over all stages and lanes. */
export function assertOwnedOnce(partition: Partition): void {
  const counts = new Map<string, number>();
  for (const { program } of programs(partition)) {
    for (const op of program.segments.flatMap(({ ops }) => ops)) {
      for (const parameter of op.parameters) {
        const at = (register: number) => ({ held: program.registers[register].held, order: null });
        const entries = entriesOf(parameter, at(op.inputs[0]), at(op.output));
        for (const key of keysOf(parameter.shape, entries)) {
          const name = `${parameter.name}[${key}]`;
          counts.set(name, (counts.get(name) ?? 0) + 1);
        }
      }
    }
  }
  for (const { parameters } of partition.graph.nodes) {
    for (const { name, shape } of parameters) {
      const all = keysOf(
        shape,
        shape.map(() => null),
      );
      for (const key of all) assert.equal(counts.get(`${name}[${key}]`), 1, `owners of ${name}[${key}]`);
    }
  }
}

function keysOf(shape: readonly number[], entries: (number[] | null)[]): string[] {
  return pieceShape(shape, entries).reduce<string[]>(
    (keys, extent, d) =>
      keys.flatMap((key) => Array.from({ length: extent }, (_, i) => `${key},${entries[d]?.[i] ?? i}`)),
    [''],
  );
}

/** Sums the operations of all lanes: what is cut is not done twice, but for copies. */
export const shares = (partition: Partition): number =>
  programs(partition).reduce(
    (sum, { program }) => sum + program.segments.reduce((all, { share }) => all + share, 0),
    0,
  );

/** `from>to start-end` for every part of a boundary, for short assertions. */
export const shownPassages = (passages: readonly Passage[]): string[] =>
  passages.map(({ from, to, range: [start, end] }) => `${from}>${to} ${start}-${end}`);

/** Bytes of a whole tensor of one sample. */
export const widthAt = (partition: Partition, boundary: number): number =>
  widthOf(partition.boundaries[boundary].tensor);
