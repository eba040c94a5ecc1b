import { objectiveOf, type CostModel, type Tail } from './cost-model.ts';
import { crewsOf, SameCrews } from './crew-sources.ts';
import { bestTail, type Shape } from './search.ts';

/** Who is where, as moves change it. */
interface Arrangement {
  /** Each stage with all after it, from samples to loss. */
  tails: readonly Tail[];
  /** Workers of each stage by rank; the last entry stands by. */
  groups: readonly (readonly number[])[];
  /** Per worker. */
  groupOf: readonly number[];
}

/** What counts as better: less would only be rounding. */
const BETTER = 1 - 1e-6;

/** Tails kept after each stage while crews that stay are cut anew. */
const RECUT_WIDTH = 8;

/**
 * Improves a plan by swapping two workers, or moving one, between stages or from and to standby, as long as that helps; then cuts anew
 * for the crews that this gave, and begins again. Tries at most `trials` changes.
 */
export function improved(model: CostModel, shape: Shape, tail: Tail, trials: number): Tail {
  if (settled.has(tail)) return tail;
  const climber = new Climber(model, shape, tail, trials);
  for (;;) {
    climber.climb();
    const boundMs = objectiveOf(climber.best) * BETTER;
    const recut = bestTail(model, shape, new SameCrews(model, crewsOf(climber.best)), {
      boundMs,
      widthMax: RECUT_WIDTH,
    });
    if (recut) climber.best = recut;
    if (!recut && climber.trials > 0) settled.add(climber.best);
    if (!recut || climber.trials <= 0) return climber.best;
  }
}

/** Plans of which it is known that nothing of that improves them: those that are improved in several rounds come back. */
const settled = new WeakSet<Tail>();

/**
 * Tries to leave a plan that no single change improves: shifts one cut, or moves the least of a stage's workers elsewhere where `moves` says
 * so, though that be worse, and improves what comes of it. A better plan is taken at once, and shaken in turn.
 */
export function shaken(model: CostModel, shape: Shape, tail: Tail, trials: number, moves: boolean): Tail {
  for (const other of neighbours(model, shape, tail, moves)) {
    const better = improved(model, shape, other, trials);
    if (objectiveOf(better) < objectiveOf(tail) * BETTER) return shaken(model, shape, better, trials, moves);
  }
  return tail;
}

function* neighbours(model: CostModel, shape: Shape, tail: Tail, moves: boolean): Generator<Tail> {
  for (let stage = 0; stage < shape.stages - 1; stage++) {
    for (const shift of SHIFTS) {
      const other = shifted(model, tail, stage, shift);
      if (other) yield other;
    }
  }
  if (!moves) return;
  for (let from = 0; from < shape.stages; from++) {
    for (let to = 0; to < shape.stages; to++) {
      const other = to === from ? null : moved(model, shape, tail, from, to);
      if (other) yield other;
    }
  }
}

/** The same plan with the worker of least rank in another stage; null where it may not go or come, or has no room. */
function moved(model: CostModel, shape: Shape, tail: Tail, from: number, to: number): Tail | null {
  const { tails, groups } = arrangementOf(model, tail);
  if (groups[from].length <= shape.lanesMin || groups[to].length >= shape.lanesMax) return null;
  const worker = groups[from][groups[from].length - 1];
  let built: Tail | null = null;
  for (let s = tails.length - 1; s >= 0; s--) {
    const lanes =
      s === from ? changed(groups[s], worker, null) : s === to ? changed(groups[s], null, worker) : groups[s];
    built = model.prepend(tails[s].layout, model.crews.of(lanes), built);
    if (!built) return null;
  }
  return built;
}

/** How far cuts are shifted, in places: a layer has two, before it and after its product. */
const SHIFTS = [-2, 2, -4, 4];

/** The same plan with another cut after a stage, laid in the best way; null where there is no such cut. */
function shifted(model: CostModel, tail: Tail, stage: number, shift: number): Tail | null {
  const { tails } = arrangementOf(model, tail);
  const [before, after] = [tails[stage], tails[stage + 1]];
  const at = model.places[after.layout.place + shift] as number | undefined;
  if (at === undefined || at <= before.layout.start || at >= after.layout.end) return null;
  let best: Tail | null = null;
  const { isOneLane, start } = before.layout;
  for (const second of model.layoutsTo(after.layout.end, isOneLane)) {
    if (second.start !== at) continue;
    const next = model.prepend(second, after.crew, after.next);
    if (!next) continue;
    for (const first of model.layoutsTo(at, isOneLane)) {
      let moved = first.start === start ? model.prepend(first, before.crew, next) : null;
      for (let s = stage - 1; s >= 0 && moved; s--) {
        moved = model.prepend(tails[s].layout, tails[s].crew, moved);
      }
      if (moved && (!best || objectiveOf(moved) < objectiveOf(best))) best = moved;
    }
  }
  return best;
}

class Climber {
  #best: Tail;
  #now: Arrangement;

  constructor(
    private readonly model: CostModel,
    private readonly shape: Shape,
    best: Tail,
    public trials: number,
  ) {
    this.#best = best;
    this.#now = arrangementOf(model, best);
  }

  get best(): Tail {
    return this.#best;
  }

  set best(tail: Tail) {
    this.#best = tail;
    this.#now = arrangementOf(this.model, tail);
  }

  /** Passes over all workers until one changes nothing. */
  climb(): void {
    const { workers } = this.model.problem;
    let lastChanged = -1;
    let trialsAfter = 0;
    for (let before: Tail | null = null; before !== this.best && this.trials > 0;) {
      before = this.best;
      let trialsThen = this.trials;
      for (let x = 0; x < workers.length && this.trials > 0; x++) {
        const known = this.best;
        for (let group = 0; group <= this.best.stages; group++) this.#move(x, group);
        for (let y = x + 1; y < workers.length; y++) this.#swap(x, y);
        if (this.best !== known) {
          lastChanged = x;
          trialsThen = this.trials;
        } else if (x === lastChanged && this.best === before) {
          // The rest of this pass was tried in vain at the end of the one before; it counts as if it were tried again.
          this.trials -= trialsAfter;
          return;
        }
      }
      trialsAfter = trialsThen - this.trials;
    }
  }

  #move(worker: number, to: number): void {
    const { groups, groupOf } = this.#now;
    const from = groupOf[worker];
    const standby = groups.length - 1;
    const mayGo = from === standby || groups[from].length > this.shape.lanesMin;
    const mayCome = to === standby || groups[to].length < this.shape.lanesMax;
    if (from === to || !mayGo || !mayCome || !this.#mayLose(from, worker, null)) return;
    this.#try(from, changed(groups[from], worker, null), to, changed(groups[to], null, worker));
  }

  #swap(x: number, y: number): void {
    const { groups, groupOf } = this.#now;
    const a = groupOf[x];
    const b = groupOf[y];
    if (a === b || !this.#mayLose(a, x, y) || !this.#mayLose(b, y, x)) return;
    this.#try(a, changed(groups[a], x, y), b, changed(groups[b], y, x));
  }

  /** False where a stage alone would take longer than a step may, with one worker less, or another one for it. */
  #mayLose(group: number, worker: number, other: number | null): boolean {
    const tail = this.#now.tails.at(group);
    if (!tail) return true;
    const { leastWork, microBatches, workers } = this.model.problem;
    const speed = tail.crew.speed - workers[worker].speed + (other === null ? 0 : workers[other].speed);
    const work = leastWork[tail.layout.end] - leastWork[tail.layout.start];
    return microBatches * work < objectiveOf(this.#best) * speed;
  }

  #try(a: number, groupA: readonly number[], b: number, groupB: readonly number[]): void {
    const { groups, tails } = this.#now;
    const bound = objectiveOf(this.#best) * BETTER;
    this.trials--;
    // Stages behind both stay as they are.
    let s = tails.length - 1;
    while (s !== a && s !== b) s--;
    let tail: Tail | null = tails.at(s + 1) ?? null;
    for (; s >= 0; s--) {
      const lanes = s === a ? groupA : s === b ? groupB : groups[s];
      tail = this.model.prepend(tails[s].layout, this.model.crews.of(lanes), tail, bound);
      if (!tail) return;
    }
    this.best = tail!;
  }
}

/** Without one worker and with another, by rank. Made for every trial, so in one go. */
function changed(group: readonly number[], goes: number | null, comes: number | null): number[] {
  const result: number[] = [];
  let hasCome = comes === null;
  for (const worker of group) {
    if (worker === goes) continue;
    if (!hasCome && worker > comes!) {
      result.push(comes!);
      hasCome = true;
    }
    result.push(worker);
  }
  if (!hasCome) result.push(comes!);
  return result;
}

/** The same plan with units by the speed that each lane has in its own stage, which whole models do not tell; itself where that is no other. */
export function rebalanced(model: CostModel, tail: Tail): Tail {
  const { workers, isEven } = model.problem;
  if (isEven) return tail;
  const next = tail.next && rebalanced(model, tail.next);
  const { layout, crew } = tail;
  const weights = crew.lanes.map((lane) => {
    const { forwardMs, backwardMs } = workers[lane];
    let ms = 0;
    for (let n = layout.start; n < layout.end; n++) ms += forwardMs[n] + backwardMs[n];
    return 1 / Math.max(ms, 1e-9);
  });
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  const isSame = weights.every((weight, k) => Math.abs(weight / all - crew.shares[k]) < 1e-6);
  if (isSame && next === tail.next) return tail;
  return model.prepend(layout, isSame ? crew : model.crews.withShares(crew.lanes, weights), next) ?? tail;
}

function arrangementOf({ problem }: CostModel, tail: Tail): Arrangement {
  const tails: Tail[] = [];
  for (let at: Tail | null = tail; at; at = at.next) tails.push(at);
  const groupOf = problem.workers.map(() => tails.length);
  tails.forEach(({ crew }, group) => {
    for (const lane of crew.lanes) groupOf[lane] = group;
  });
  const standby = problem.workers.map((_, i) => i).filter((i) => groupOf[i] === tails.length);
  return { tails, groups: [...tails.map(({ crew }) => crew.lanes), standby], groupOf };
}
