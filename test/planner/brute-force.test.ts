import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { candidates, type Kind } from '../../client/planner/candidates.ts';
import {
  CostModel,
  FRAGILE_WEIGHT,
  objectiveOf,
  RISK_WEIGHT,
  TRAFFIC_WEIGHT,
  type Tail,
} from '../../client/planner/cost-model.ts';
import { crossing } from '../../client/planner/crossing.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { stageCost } from '../../client/planner/stage-cost.ts';
import type { LayerSpec, ModelSpec } from '../../shared/model.ts';
import { assertProperty } from '../support/property.ts';
import { activation, add, conv, dense, flatten, model as modelOf, pool } from '../support/specs.ts';
import { roomArbitrary } from './rooms.ts';

const relu = { activation: 'relu' } as const;

const perceptron = (widths: number[]): ModelSpec =>
  modelOf([20], [...widths.map((units, i) => dense(`dense${i}`, units, relu)), dense('end', 4)]);

const convolutions = (first: number, second: number): ModelSpec =>
  modelOf(
    [8, 8, 1],
    [
      conv('conv1', first, 3, relu),
      pool('pool1', 'maxPooling2d'),
      conv('conv2', second, 3, relu),
      flatten(),
      dense('end', 4),
    ],
  );

const residual = (units: number): ModelSpec => {
  const layers: LayerSpec[] = [
    dense('first', units, relu),
    dense('wide', 2 * units, relu),
    dense('narrow', units),
    add('sum', ['narrow', 'first']),
    activation('relu', 'relu'),
    dense('end', 4),
  ];
  return modelOf([20], layers);
};

const width = fc.constantFrom(3, 8, 16, 40);
const models: fc.Arbitrary<ModelSpec> = fc.oneof(
  fc.array(width, { minLength: 1, maxLength: 4 }).map(perceptron),
  fc.tuple(width, width).map(([first, second]) => convolutions(first, second)),
  width.map(residual),
);

const rooms = models.chain((model) =>
  roomArbitrary(model, { peersMax: 7, mayBeTight: true, mayLackLinks: true }),
);

/** Every ordered choice of devices for any number of stages, every cut, every layout. */
function bruteForce(model: CostModel, kind: Kind): Tail | null {
  const { workers, graph } = model.problem;
  const [lanesMin, lanesMax] = kind === 'hybrid' ? [2, 7] : kind === 'horizontal' ? [2, 7] : [1, 1];
  const [stagesMin, stagesMax] = kind === 'horizontal' || kind === 'alone' ? [1, 1] : [2, 7];
  const crews = [...Array(1 << workers.length).keys()].map((mask) =>
    workers.map((_, i) => i).filter((i) => mask & (1 << i)),
  );
  let best: Tail | null = null;
  const extend = (next: Tail | null, used: number) => {
    const end = next?.layout.start ?? graph.nodes.length;
    crews.forEach((lanes, mask) => {
      if (mask & used || lanes.length < lanesMin || lanes.length > lanesMax) return;
      for (const layout of model.layoutsTo(end, lanes.length === 1)) {
        const tail = model.prepend(layout, model.crews.of(lanes), next);
        if (!tail) continue;
        if (layout.start > 0) {
          if (tail.stages < stagesMax) extend(tail, used | mask);
        } else if (tail.stages >= stagesMin && (!best || objectiveOf(tail) < objectiveOf(best))) best = tail;
      }
    });
  };
  extend(null, 0);
  return best;
}

/** The objective written down from its definition, stage by stage from the samples. */
function objectiveFromScratch({ problem, idealStepMs, loadOf }: CostModel, first: Tail): number {
  const { microBatches: m, tensorBytes, fragileFrom } = problem;
  const tails: Tail[] = [];
  for (let at: Tail | null = first; at; at = at.next) tails.push(at);
  let extraMs = 0;
  const stages = tails.map(({ layout, crew }, s) => {
    const cost = stageCost(problem, loadOf(layout), crew);
    const next = tails.at(s + 1);
    const bytes = tensorBytes[layout.end] * problem.wireShare;
    const way = next && crossing(problem, crew, layout.exit, next.crew, next.layout.entry);
    const hopMs = way ? way.latencyMs + bytes * way.msPerByte : 0;
    const inFlight = Math.min(m, tails.length - s + (way || layout.exchangeCount > 0 ? 1 : 0));
    const workMs = cost.forwardMs + cost.inputGradientMs;
    const filledMs = inFlight > 1 ? (workMs * layout.exchangeCount) / (layout.exchangeCount + 1) : 0;
    const passMs = workMs + Math.max(cost.waitMs, filledMs) + 2 * hopMs;
    const linkMs = Math.max(cost.linkMs, way ? bytes * way.msPerByte : 0);
    extraMs += TRAFFIC_WEIGHT * m * (cost.trafficMs + (way ? 2 * bytes * way.trafficMsPerByte : 0));
    extraMs += idealStepMs * RISK_WEIGHT * cost.risk;
    if (way && way.fragileLoss >= fragileFrom) extraMs += idealStepMs * FRAGILE_WEIGHT;
    return { cost, inFlight, workMs, passMs, linkMs };
  });
  const spans = stages.map(({ cost, inFlight, workMs, linkMs }, s) => {
    const roundTripMs = stages.slice(s).reduce((sum, { passMs }) => sum + passMs, 0);
    const before = stages.slice(0, s).reduce((sum, { passMs }) => sum + passMs, 0);
    const exposedMs = Math.max(0, roundTripMs - workMs - (inFlight - 1) * cost.forwardMs);
    const cappedMs = Math.ceil(m / inFlight) * roundTripMs + ((m - 1) % inFlight) * cost.forwardMs;
    return before + Math.max(m * cost.busyMs + exposedMs, cappedMs, m * linkMs);
  });
  return Math.max(...spans) + extraMs;
}

describe('the best plan of a small room', () => {
  it('is as good as the best of all there are', async () => {
    const found: Record<Kind, number> = { hybrid: 0, vertical: 0, horizontal: 0, alone: 0 };
    const test = 'is as good as the best of all there are';
    await assertProperty({ file: import.meta.url, test, seed: 7, runs: 500 }, rooms, (room) => {
      const problem = problemOf(room.config, room.devices, room.links, []);
      for (const kind of ['hybrid', 'vertical', 'horizontal', 'alone'] as const) {
        const all = bruteForce(new CostModel(problem), kind);
        const model = new CostModel(problem);
        const [best] = candidates(model, kind, null) as (Tail | undefined)[];
        if (!all || !best) {
          assert.equal(best === undefined, all === null, `${kind}: one found a plan, the other none`);
          continue;
        }
        found[kind]++;
        const ratio = objectiveOf(best) / objectiveOf(all);
        assert.ok(Math.abs(ratio - 1) < 1e-6, `${kind}: ${ratio} times the best`);
        assert.ok(
          Math.abs(objectiveFromScratch(model, best) / objectiveOf(best) - 1) < 1e-9,
          'the objective',
        );
      }
    });
    for (const [kind, count] of Object.entries(found)) assert.ok(count > 100, `${count} plans were ${kind}`);
  });
});
