import { passagesOf, passageWidth, programOf } from '../partition/exchange.ts';
import type { Partition } from '../partition/partition.ts';
import { inFlightMax, type BlockProgress, type BlockTask } from '../pipeline/schedule.ts';
import type { BlockSegment, Register } from '../ports/compute.ts';
import { shareOf } from './memory.ts';
import type { Problem, Worker } from './profile.ts';
import { partBytes } from './traffic.ts';

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
  /** Where its input arrives, and the gradient of its output; null where the input is samples, and at the loss. */
  before: Inlet | null;
  after: Inlet | null;
  forwardWays: Way[];
  backwardWays: Way[];
}

/** Where parts arrive; micro-batches are counted on through the steps. */
export interface Inlet {
  actor: Actor;
  /** Parts still to be sent, and when the last of those sent is here. */
  missing: Int32Array;
  readyMs: Float64Array;
  isReady: Uint8Array;
}

/** Where a part goes. */
export interface Way {
  inlet: Inlet;
  /** The sender's link, [from * workers + to]; -1 to itself. */
  link: number;
  sendMs: number;
  latencyMs: number;
}

export interface Play {
  steps: number;
  microBatches: number;
}

/** The blocks of a partition, stage by stage, lane by lane, with their ways to each other. */
export function actorsOf(
  partition: Partition,
  problem: Problem,
  workerOf: ReadonlyMap<string, number>,
  play: Play,
): Actor[][] {
  /** Of each lane of a stage, by the segment's index in the partition. */
  const acts: Map<number, Act>[][] = [];
  const actors = partition.stages.map(({ lanes }, stage) => {
    acts.push(lanes.map(() => new Map<number, Act>()));
    return lanes.map((peer, lane): Actor => {
      const { registers, segments, indices } = programOf(partition, stage, lane);
      const worker = problem.workers[workerOf.get(peer)!];
      segments.forEach((segment, i) => {
        if (segment.input !== null) acts[stage][lane].set(indices[i], actOf(worker, segment, registers));
      });
      const inFlight = inFlightMax(partition, stage, play.microBatches);
      return actorOf(workerOf.get(peer)!, [...acts[stage][lane].values()], inFlight, play);
    });
  });
  for (const { index } of partition.boundaries) connect(index);
  return actors;

  function connect(boundary: number): void {
    const [before, after] = [partition.segments[boundary].stage, partition.segments[boundary + 1].stage];
    const { tensor } = partition.boundaries[boundary];
    for (const { from, to, range } of passagesOf(partition, boundary)) {
      const sender = actors[before][from];
      const receiver = actors[after][to];
      const own = acts[before][from].get(boundary)!;
      const others = acts[after][to].get(boundary + 1)!;
      const bytes = partBytes(problem.rows * passageWidth(tensor, range));
      own.after ??= inletOf(sender, play);
      others.before ??= inletOf(receiver, play);
      own.forwardWays.push(wayTo(others.before, sender, problem, bytes));
      others.backwardWays.push(wayTo(own.after, receiver, problem, bytes));
    }
  }
}

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

function actorOf(worker: number, acts: Act[], inFlight: number, { microBatches }: Play): Actor {
  const isHere = (inlet: Inlet | null, micro: number) =>
    inlet === null || inlet.isReady[actor.step * microBatches + micro] === 1;
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

function inletOf(actor: Actor, { steps, microBatches }: Play): Inlet {
  const items = steps * microBatches;
  return {
    actor,
    missing: new Int32Array(items),
    readyMs: new Float64Array(items),
    isReady: new Uint8Array(items),
  };
}

/** One more part that an inlet waits for. */
function wayTo(inlet: Inlet, sender: Actor, { links, workers }: Problem, bytes: number): Way {
  for (let item = 0; item < inlet.missing.length; item++) inlet.missing[item]++;
  const link = sender.worker * workers.length + inlet.actor.worker;
  if (sender === inlet.actor) return { inlet, link: -1, sendMs: 0, latencyMs: 0 };
  return { inlet, link, sendMs: bytes * links.msPerByte[link], latencyMs: links.latencyMs[link] };
}
