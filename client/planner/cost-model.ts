import { LAYOUT_CODES, type Layout } from '../partition/layout.ts';
import { Crews, type Crew } from './crew.ts';
import { crossing, type Crossing } from './crossing.ts';
import { cutsOf } from './cuts.ts';
import { oneLaneLayout, severalLaneLayouts, type StageLayout } from './layouts.ts';
import { stageLoad, type StageLoad } from './loads.ts';
import type { Problem } from './profile.ts';
import { stageCost, type StageCost } from './stage-cost.ts';
import { fittedCrew, stageMemory, type StageMemory } from './stage-memory.ts';

/** A layout by number. */
export interface Laid extends StageLayout {
  index: number;
  /** Number of the cut that it begins at. */
  place: number;
}

/** The last stages of a plan, from one of them to the loss. */
export interface Tail {
  layout: Laid;
  crew: Crew;
  next: Tail | null;
  stages: number;
  /** Time of a step as far as these stages decide it. */
  spanMs: number;
  /** One micro-batch on its way through them and back, alone. */
  roundTripMs: number;
  /** Traffic, risk and fragile cuts, in milliseconds that they are worth. */
  extraMs: number;
}

/** What the planner minimises. */
export const objectiveOf = ({ spanMs, extraMs }: Tail): number => spanMs + extraMs;

/** A millisecond of transfer, wherever in the room, is worth this much of a step. */
export const TRAFFIC_WEIGHT = 0.01;
/** All important units on devices that are never there would be worth this many ideal steps. */
export const RISK_WEIGHT = 0.1;
/** A slice over such links must win this share of an ideal step. */
export const FRAGILE_WEIGHT = 0.1;

/** The planner's idea of what plans cost, with a memory for what was asked before. */
export class CostModel {
  readonly crews: Crews;
  /** A step with all work on all devices all the time. */
  readonly idealStepMs: number;
  /** Where stages may begin, in order. */
  readonly places: readonly number[];
  readonly #laid: Laid[] = [];
  readonly #byEnd = new Map<string, Laid[]>();
  readonly #loads: StageLoad[] = [];
  readonly #memories: StageMemory[] = [];
  /** By layout, then by crew. */
  readonly #costs: Map<number, StageCost>[] = [];
  /** By crew. */
  readonly #fitted: Map<number, Crew | null>[] = [];
  readonly #crossings: Map<number, Crossing>[] = [];

  constructor(readonly problem: Problem) {
    const { graph, workers, leastWork, microBatches } = problem;
    this.crews = new Crews(problem);
    const speed = workers.reduce((sum, worker) => sum + worker.speed, 0);
    this.idealStepMs = (microBatches * leastWork[graph.nodes.length]) / speed;
    const cuts = cutsOf(graph);
    this.places = [0, ...cuts.map(({ at }) => at)];
    const starts = [{ at: 0, isAfterProduct: false }, ...cuts];
    const ends = [...cuts, { at: graph.nodes.length, isAfterProduct: false }];
    for (const start of starts) {
      if (start.isAfterProduct) continue;
      for (const end of ends) {
        if (end.at <= start.at || end.isAfterProduct) continue;
        this.#add(oneLaneLayout(start.at, end.at));
      }
    }
    if (workers.length === 1) return;
    for (const { at } of starts) severalLaneLayouts(problem, at, cuts).forEach((layout) => this.#add(layout));
  }

  #add(layout: StageLayout): void {
    const { graph } = this.problem;
    const isWhole = layout.start === 0 && layout.end === graph.nodes.length;
    const nodes = graph.nodes.slice(layout.start, layout.end);
    if (!isWhole && !nodes.some(({ kind }) => kind === 'linear')) return;
    const { start, end, isOneLane, entry, exit, exchangeCount, detail } = layout;
    const place = this.places.indexOf(start);
    const index = this.#laid.length;
    // Written out, so that all have one shape.
    const laid: Laid = { start, end, isOneLane, entry, exit, exchangeCount, detail, index, place };
    this.#laid.push(laid);
    const key = `${layout.end}/${layout.isOneLane}`;
    const known = this.#byEnd.get(key);
    if (known) known.push(laid);
    else this.#byEnd.set(key, [laid]);
  }

  /** Layouts of stages that end before node `end`. */
  layoutsTo(end: number, isOneLane: boolean): readonly Laid[] {
    return this.#byEnd.get(`${end}/${isOneLane}`) ?? [];
  }

  /** What the lanes of a layout hold, worked out once. */
  memoryOf(layout: Laid): StageMemory {
    return (this.#memories[layout.index] ??= stageMemory(this.problem, layout));
  }

  /** What a layout costs its lanes, worked out once. */
  loadOf = (layout: Laid): StageLoad => {
    return (this.#loads[layout.index] ??= stageLoad(this.problem, layout));
  };

  /** Forward and both gradients of one micro-batch on the busiest lane. */
  busyMsOf(layout: Laid, crew: Crew): number {
    return this.#costOf(layout, crew).busyMs;
  }

  /** One more stage in front of others; null where it has no room, cannot reach them, or makes them no better than `boundMs`. */
  prepend(layout: Laid, wanted: Crew, next: Tail | null, boundMs = Infinity): Tail | null {
    const { problem } = this;
    const { microBatches, tensorBytes, wireShare } = problem;
    const stages = (next?.stages ?? 0) + 1;
    const exchanges = next !== null || layout.exchangeCount > 0;
    const inFlight = Math.min(microBatches, stages + (exchanges ? 1 : 0));
    const crew = this.#fit(layout, wanted, inFlight);
    if (!crew) return null;
    const cost = this.#costOf(layout, crew);
    if (!cost.isWhole) return null;
    let hopMs = 0;
    let linkMs = cost.linkMs;
    let trafficMs = cost.trafficMs;
    let fragile = 0;
    if (next) {
      const way = this.#crossingOf(crew, layout.exit, next.crew, next.layout.entry);
      const bytes = tensorBytes[layout.end] * wireShare;
      hopMs = way.latencyMs + bytes * way.msPerByte;
      linkMs = Math.max(linkMs, bytes * way.msPerByte);
      trafficMs += 2 * bytes * way.trafficMsPerByte;
      if (way.fragileLoss >= problem.fragileFrom) fragile = 1;
    }
    // Weight gradients keep nobody waiting.
    const workMs = cost.forwardMs + cost.inputGradientMs;
    const segments = layout.exchangeCount + 1;
    // Who waits for an exchange begins other work, and ends that first.
    const innerMs = inFlight > 1 ? Math.max(cost.waitMs, workMs * (1 - 1 / segments)) : cost.waitMs;
    const waitMs = (next?.roundTripMs ?? 0) + 2 * hopMs + innerMs;
    const roundTripMs = workMs + waitMs;
    if (!(roundTripMs < Infinity)) return null;
    const ownMs = Math.max(
      // The first gradient is late by what cannot be filled with forward passes.
      microBatches * cost.busyMs + Math.max(0, waitMs - (inFlight - 1) * cost.forwardMs),
      // The last micro-batch may begin when one that many before it is back, and that one had to wait in the same way.
      Math.ceil(microBatches / inFlight) * roundTripMs + ((microBatches - 1) % inFlight) * cost.forwardMs,
      microBatches * linkMs,
    );
    const passMs = workMs + 2 * hopMs + innerMs;
    const spanMs = Math.max(ownMs, passMs + (next?.spanMs ?? 0));
    const extraMs =
      (next?.extraMs ?? 0) +
      TRAFFIC_WEIGHT * microBatches * trafficMs +
      this.idealStepMs * (RISK_WEIGHT * cost.risk + FRAGILE_WEIGHT * fragile);
    if (spanMs + extraMs >= boundMs) return null;
    return { layout, crew, next, stages, spanMs, roundTripMs, extraMs };
  }

  /** The crew itself, or one with less on lanes that have too little memory; null where none has room. */
  #fit(layout: Laid, crew: Crew, inFlight: number): Crew | null {
    const { problem, crews } = this;
    if (!problem.hasBudgets) return crew;
    const known = (this.#fitted[crew.id] ??= new Map<number, Crew | null>());
    const key = layout.index * 128 + inFlight;
    let fitted = known.get(key);
    if (fitted === undefined) {
      fitted = fittedCrew(problem, crews, this.memoryOf(layout), crew, inFlight);
      known.set(key, fitted);
    }
    return fitted;
  }

  #costOf(layout: Laid, crew: Crew): StageCost {
    const known = (this.#costs[layout.index] ??= new Map<number, StageCost>());
    let cost = known.get(crew.id);
    if (!cost) known.set(crew.id, (cost = stageCost(this.problem, this.loadOf(layout), crew)));
    return cost;
  }

  #crossingOf(before: Crew, exit: Layout, after: Crew, entry: Layout): Crossing {
    const known = (this.#crossings[before.id] ??= new Map<number, Crossing>());
    const key = after.id * 16 + LAYOUT_CODES[exit] * 4 + LAYOUT_CODES[entry];
    let way = known.get(key);
    if (!way) known.set(key, (way = crossing(this.problem, before, exit, after, entry)));
    return way;
  }
}
