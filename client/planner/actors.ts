import { partBytes } from '../../shared/frames.ts';
import { passagesOf, passageWidth, programOf } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';
import { inFlightMax, type BlockProgress, type BlockTask } from '../pipeline/schedule.ts';
import type { BlockSegment, Register } from '../ports/compute.ts';
import type { Arrivals, Inlet } from './arrivals.ts';
import { shareOf } from './memory.ts';
import type { Problem, Worker } from './profile.ts';

/** A block in a rehearsal. */
export interface Actor {
  worker: number;
  acts: Act[];
  step: number;
  /** How far the step at hand is. */
  progress: BlockProgress & { forwards: number[]; backwards: number[] };
  task: BlockTask | null;
  busyMs: number;
}

/** What a lane does between two boundaries. */
export interface Act {
  forwardMs: number;
  backwardMs: number;
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

/** The blocks of a partition, stage by stage, lane by lane, with their ways to each other. */
export function actorsOf(
  partition: Partition,
  problem: Problem,
  workerOf: ReadonlyMap<string, number>,
  microBatches: number,
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
        if (!isIdle(segment)) own.set(indices[i], actOf(problem.workers[worker], segment, registers));
      });
      const inFlight = inFlightMax(partition, stage, microBatches);
      return actorOf(worker, [...own.values()], inFlight, microBatches, arrivals);
    });
  });
  for (const { index, tensor } of partition.boundaries) {
    const [before, after] = [partition.segments[index].stage, partition.segments[index + 1].stage];
    for (const { from, to, range } of passagesOf(partition, index)) {
      const [sender, receiver] = [actors[before][from], actors[after][to]];
      const [own, other] = [acts[before][from].get(index)!, acts[after][to].get(index + 1)!];
      const bytes = partBytes(problem.wire, problem.rows, passageWidth(tensor, range));
      other.before ??= arrivals.inlet(receiver);
      own.after ??= arrivals.inlet(sender);
      own.forwardWays.push(wayTo(other.before, sender, problem, bytes));
      other.backwardWays.push(wayTo(own.after, receiver, problem, bytes));
    }
  }
  arrivals.open();
  return actors;
}

/** Lanes without units of a tensor have no part in what others do with it. */
const isIdle = ({ input, ops, output }: BlockSegment): boolean =>
  input === null && ops.length === 0 && output === null;

function actOf(worker: Worker, { ops }: BlockSegment, registers: readonly Register[]): Act {
  let forwardMs = worker.taskMs;
  let backwardMs = worker.taskMs;
  for (const op of ops) {
    if (op.op.kind === 'narrow') continue;
    const share = shareOf(op, registers);
    forwardMs += share * worker.forwardMs[op.node];
    backwardMs += share * worker.backwardMs[op.node];
  }
  return { forwardMs, backwardMs, before: null, after: null, forwardWays: [], backwardWays: [] };
}

function actorOf(
  worker: number,
  acts: Act[],
  inFlight: number,
  microBatches: number,
  arrivals: Arrivals,
): Actor {
  const isHere = (inlet: Inlet | null, micro: number) =>
    inlet === null || arrivals.isHere(inlet, actor.step * microBatches + micro);
  const actor: Actor = {
    worker,
    acts,
    step: 0,
    task: null,
    busyMs: 0,
    progress: {
      microBatches,
      inFlightMax: inFlight,
      forwards: acts.map(() => 0),
      backwards: acts.map(() => 0),
      forwardReady: (segment, micro) => isHere(acts[segment].before, micro),
      backwardReady: (segment, micro) => isHere(acts[segment].after, micro),
    },
  };
  return actor;
}

/** One more part that an inlet waits for. */
function wayTo(inlet: Inlet, sender: Actor, { links, workers }: Problem, bytes: number): Way {
  inlet.parts++;
  if (sender === inlet.actor) return { inlet, link: -1, sendMs: 0, latencyMs: 0 };
  const link = sender.worker * workers.length + inlet.actor.worker;
  return { inlet, link, sendMs: bytes * links.msPerByte[link], latencyMs: links.latencyMs[link] };
}
