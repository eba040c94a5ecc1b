import { partBytes } from '../../shared/packets.ts';
import { passagesOf, passageWidth, programOf } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';
import { isAlone, type BlockProgress, type BlockTask, type Counts } from '../pipeline/schedule.ts';
import type { StageCaps } from '../../shared/schema/plan.ts';
import type { BlockSegment, Register } from '../ports/compute.ts';
import type { Arrivals, Inlet } from './arrivals.ts';
import { shareOf } from './memory.ts';
import { timeShareOf, type Problem, type Worker } from './profile.ts';

/** How much is played. */
export interface Play {
  steps: number;
  microBatches: number;
  schedule: 'sync' | 'async';
}

/** A block in a rehearsal. */
export interface Actor {
  worker: number;
  acts: Act[];
  progress: BlockProgress & Counts;
  task: BlockTask | null;
  busyMs: number;
}

/** What a lane does between two boundaries. */
export interface Act {
  forwardMs: number;
  /** Of the whole backward where nothing is deferred. */
  backwardMs: number;
  weightsMs: number;
  hasWeights: boolean;
  /** Where its input arrives, and the gradient of its output; null where nothing does: the input is samples, the loss is here. */
  before: Inlet | null;
  after: Inlet | null;
  forwardWays: Way[];
  backwardWays: Way[];
}

/** Where a part goes. */
export interface Way {
  inlet: Inlet;
  /** The sender's link, [from * workers + to]; -1 to itself. */
  link: number;
  sendMs: number;
  latencyMs: number;
}

/**
 * What a byte's way through a data channel takes of a processor, in times of what a number's way into the device takes of the same one:
 * measured with browsers that render in software, 55 to 62 ms per MB where it is 0.45 ms per 100,000 numbers, and some 170 where it is
 * 1.5, on half of a processor.
 */
const NUMBERS_PER_BYTE = 12;

/** The blocks of a partition, stage by stage, lane by lane, with their ways to each other. */
export function actorsOf(
  partition: Partition,
  problem: Problem,
  workerOf: ReadonlyMap<string, number>,
  play: Play,
  caps: readonly StageCaps[],
  arrivals: Arrivals,
): Actor[][] {
  /** By the segment's index in the partition. */
  const acts: Map<number, Act>[][] = [];
  const actors = partition.stages.map(({ lanes }, stage) => {
    acts.push(lanes.map(() => new Map<number, Act>()));
    return lanes.map((peer, lane): Actor => {
      const { registers, segments, indices } = programOf(partition, stage, lane);
      const worker = workerOf.get(peer)!;
      const own = acts[stage][lane];
      segments.forEach((segment, i) => {
        const numbers = isIdle(segment)
          ? null
          : passingNumbers(segment, registers, indices[i] === 0, problem.rows);
        if (numbers) own.set(indices[i], actOf(problem.workers[worker], segment, registers, numbers));
      });
      return actorOf(worker, [...own.values()], caps[stage], play, arrivals);
    });
  });
  for (const { index, tensor, isOneWay } of partition.boundaries) {
    const [before, after] = [partition.segments[index].stage, partition.segments[index + 1].stage];
    for (const { from, to, range } of passagesOf(partition, index)) {
      const [sender, receiver] = [actors[before][from], actors[after][to]];
      const [own, other] = [acts[before][from].get(index)!, acts[after][to].get(index + 1)!];
      const bytes = partBytes(problem.wire, problem.rows, passageWidth(tensor, range));
      other.before ??= arrivals.inlet(receiver);
      own.forwardWays.push(wayTo(other.before, sender, problem, bytes));
      const comesBack = !isOneWay || sender === receiver;
      if (comesBack) {
        own.after ??= arrivals.inlet(sender);
        other.backwardWays.push(wayTo(own.after, receiver, problem, bytes));
      }
      for (const [act, { worker }] of [
        [own, sender],
        [other, receiver],
      ] as const) {
        const ms = sender === receiver ? 0 : bytes * processorMsPerByte(problem.workers[worker]);
        act.forwardMs += ms;
        if (comesBack) act.backwardMs += ms;
      }
    }
  }
  const isMerging = isAlone(partition) && caps[0].kept > caps[0].inFlight;
  for (const { acts: own, progress } of actors.flat()) {
    progress.isAwaited = own.map(({ before }) => before !== null);
    progress.defers = own.map(({ before, hasWeights }) => (before !== null || isMerging) && hasWeights);
  }
  arrivals.open();
  return actors;
}

/** What sending a byte, or its coming, takes from computing. */
const processorMsPerByte = ({ onProcessor, msPerNumber }: Worker): number =>
  onProcessor ? NUMBERS_PER_BYTE * msPerNumber : 0;

/** Lanes without units of a tensor have no part in what others do with it. */
const isIdle = ({ input, ops, output }: BlockSegment): boolean =>
  input === null && ops.length === 0 && output === null;

/** Numbers that go into the device and out of it in each pass. */
interface PassingNumbers {
  forward: number;
  backward: number;
}

/** Nobody asks for the gradient of samples. */
function passingNumbers(
  { input, output }: BlockSegment,
  registers: readonly Register[],
  takesSamples: boolean,
  rows: number,
): PassingNumbers {
  const numbersOf = (register: number | null) =>
    register === null ? 0 : rows * passageWidth(registers[register].shape, registers[register].held);
  const [before, after] = [numbersOf(input), numbersOf(output)];
  return { forward: before + after, backward: after + (takesSamples ? 0 : before) };
}

function actOf(
  worker: Worker,
  { ops }: BlockSegment,
  registers: readonly Register[],
  numbers: PassingNumbers,
): Act {
  let forwardMs = worker.taskMs + numbers.forward * worker.msPerNumber;
  let backwardMs = worker.taskMs + numbers.backward * worker.msPerNumber;
  let weightsMs = 0;
  for (const op of ops) {
    if (op.op.kind === 'narrow') continue;
    const share = timeShareOf(worker, shareOf(op, registers));
    forwardMs += share * worker.forwardMs[op.node];
    backwardMs += share * worker.backwardMs[op.node];
    weightsMs += share * worker.weightsMs[op.node];
  }
  const hasWeights = ops.some(({ parameters }) => parameters.length > 0);
  return {
    forwardMs,
    backwardMs,
    weightsMs,
    hasWeights,
    before: null,
    after: null,
    forwardWays: [],
    backwardWays: [],
  };
}

/** Of the first segments, whose neighbours are not known yet. */
function actorOf(
  worker: number,
  acts: Act[],
  caps: StageCaps,
  { microBatches, schedule, steps }: Play,
  arrivals: Arrivals,
): Actor {
  const isHere = (inlet: Inlet | null, item: number) => inlet === null || arrivals.isHere(inlet, item);
  const none = () => acts.map(() => 0);
  return {
    worker,
    acts,
    task: null,
    busyMs: 0,
    progress: {
      microBatches,
      steps: 0,
      end: (schedule === 'sync' ? 1 : steps) * microBatches,
      caps,
      forwards: none(),
      backwards: none(),
      weights: none(),
      isAwaited: [],
      defers: [],
      forwardReady: (segment, item) => isHere(acts[segment].before, item),
      backwardReady: (segment, item) => isHere(acts[segment].after, item),
    },
  };
}

/** One more part that an inlet waits for. */
function wayTo(inlet: Inlet, sender: Actor, { links, workers }: Problem, bytes: number): Way {
  inlet.parts++;
  if (sender === inlet.actor) return { inlet, link: -1, sendMs: 0, latencyMs: 0 };
  const link = sender.worker * workers.length + inlet.actor.worker;
  return { inlet, link, sendMs: bytes * links.msPerByte[link], latencyMs: links.latencyMs[link] };
}
