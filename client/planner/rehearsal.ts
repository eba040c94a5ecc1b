import type { Partition } from '../partition/partition.ts';
import { nextTask, note, type BlockTask } from '../pipeline/schedule.ts';
import { actorsOf, type Act, type Actor, type Play, type Way } from './actors.ts';
import { Arrivals, type Inlet } from './arrivals.ts';
import { capsOfStages } from './caps.ts';
import { EventQueue } from './event-queue.ts';
import type { Problem } from './profile.ts';

export interface Rehearsed {
  /** From one step's end to the next at the loss, on average; Infinity where a part has no link to go by. */
  stepMs: number;
  /** Busy time in one step of each stage's busiest lane. */
  stageMs: number[];
}

/** A task ends, or something is all there. */
interface Event {
  actor: Actor;
  /** Where something is; null where a task ends. */
  inlet: Inlet | null;
  item: number;
}

/**
 * Plays steps of training as discrete events, three or more, until two in a row take as long as each other, and takes the mean of the last two: every block follows the very schedule of
 * training, tasks take their measured time, parts take their turn on the sender's link and then half a round trip. The optimizer's
 * time is not measured, so it takes none.
 * @param workerOf index in the problem, by peer
 */
export function rehearse(
  partition: Partition,
  problem: Problem,
  workerOf: ReadonlyMap<string, number>,
  { steps, microBatches }: Omit<Play, 'schedule'>,
): Rehearsed {
  const play = { steps, microBatches, schedule: problem.schedule };
  const arrivals = new Arrivals(steps * microBatches);
  const actors = actorsOf(partition, problem, workerOf, play, capsOfStages(problem, partition), arrivals);
  const ends = new Rehearsal(actors.flat(), headOf(partition, actors), problem, play, arrivals).ends();
  const played = ends.length;
  const isOver = played === steps || isSteady(ends);
  return {
    stepMs: isOver ? (ends[played - 1] - ends[played - 3]) / 2 : Infinity,
    stageMs: actors.map((lanes) => Math.max(...lanes.map(({ busyMs }) => busyMs))),
  };
}

/** Steps of which only rounding tells one from the next. */
const ALIKE = 1e-9;

function isSteady(ends: readonly number[]): boolean {
  if (ends.length < 3) return false;
  const [before, from, to] = ends.slice(-3);
  return Math.abs(to - from - (from - before)) <= ALIKE * to;
}

function headOf({ stages }: Partition, actors: Actor[][]): Actor {
  const last = stages.length - 1;
  return actors[last][stages[last].owner];
}

class Rehearsal {
  readonly #events = new EventQueue<Event>();
  readonly #linkFreeMs: Float64Array;
  readonly #ends: number[] = [];
  #nowMs = 0;
  #steady = false;

  constructor(
    private readonly actors: readonly Actor[],
    private readonly head: Actor,
    { workers }: Problem,
    private readonly play: Play,
    private readonly arrivals: Arrivals,
  ) {
    this.#linkFreeMs = new Float64Array(workers.length ** 2);
  }

  /** When the head's steps end. */
  ends(): readonly number[] {
    for (const actor of this.actors) this.#goOn(actor);
    while (this.#ends.length < this.play.steps && !this.#steady) {
      const event = this.#events.next();
      if (!event) break;
      this.#nowMs = event.ms;
      const { actor, inlet, item } = event.what;
      if (inlet) this.arrivals.arrive(inlet, item);
      else this.#finish(actor);
      if (!actor.task) this.#goOn(actor);
    }
    return this.#ends;
  }

  #goOn(actor: Actor): void {
    const { progress, acts } = actor;
    const { steps, microBatches, schedule } = this.play;
    while (progress.steps < steps) {
      const task = nextTask(progress);
      if (!task) return;
      if (task.kind !== 'step') {
        note(task, progress);
        const ms = durationOf(acts[task.segment], task, progress.defers[task.segment]);
        if (task.micro < microBatches) actor.busyMs += ms;
        actor.task = task;
        this.#events.add(this.#nowMs + ms, { actor, inlet: null, item: task.micro });
        return;
      }
      progress.steps++;
      if (schedule === 'sync') progress.end += microBatches;
      if (actor !== this.head) continue;
      this.#ends.push(this.#nowMs);
      this.#steady = isSteady(this.#ends);
    }
  }

  #finish(actor: Actor): void {
    const { task, acts } = actor;
    actor.task = null;
    if (!task || task.kind === 'step' || task.kind === 'weights') return;
    const { forwardWays, backwardWays } = acts[task.segment];
    for (const way of task.kind === 'forward' ? forwardWays : backwardWays) this.#send(way, task.micro);
  }

  #send({ inlet, link, sendMs, latencyMs }: Way, item: number): void {
    let arrivalMs = this.#nowMs;
    if (link >= 0) {
      this.#linkFreeMs[link] = Math.max(this.#linkFreeMs[link], this.#nowMs) + sendMs;
      arrivalMs = this.#linkFreeMs[link] + latencyMs;
    }
    const wholeMs = this.arrivals.send(inlet, item, arrivalMs);
    if (wholeMs === null || wholeMs === Infinity) return;
    // What a lane keeps is there before it looks for its next task.
    if (link < 0 && wholeMs <= this.#nowMs) this.arrivals.arrive(inlet, item);
    else this.#events.add(wholeMs, { actor: inlet.actor, inlet, item });
  }
}

function durationOf(
  { forwardMs, backwardMs, weightsMs }: Act,
  task: Exclude<BlockTask, { kind: 'step' }>,
  defers: boolean,
): number {
  if (task.kind === 'forward') return forwardMs;
  if (task.kind === 'weights') return task.count * weightsMs;
  return defers ? backwardMs - weightsMs : backwardMs;
}
