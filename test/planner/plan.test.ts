import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { makePlan } from '../../client/planner/plan.ts';
import type { RunChoices } from '../../client/defaults.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan } from '../../shared/schema/plan.ts';
import { LIMITS } from '../../shared/limits.ts';
import { requestOf } from './requests.ts';
import { idOf, linksOf, roomOf, unevenRoom, type LinkShape } from './rooms.ts';

const same = (peers: number, ms = 200) => Array.from({ length: peers }, () => ms);
const plan = (choices: RunChoices, ms: number[], link: LinkShape = {}): Plan =>
  makePlan(requestOf(roomOf(choices, ms, link)));
const shapeOf = ({ stages }: Plan) => stages.map(({ lanes }) => lanes.length).join('+');
const kinds = ({ stages }: Plan, choices: RunChoices) =>
  partitionOf(modelGraph(roomOf(choices, [1]).config.model), stages)
    .boundaries.map(({ kind, isInner }) => (isInner ? kind : `(${kind})`))
    .join(' ');

describe('a plan', () => {
  it('is for the term, run and steps that it was asked for', () => {
    const room = roomOf({ model: 'mlp' }, same(4));
    const sources = [{ layer: 'dense_1', from: idOf(2) }];
    const made = makePlan(
      requestOf(room, {
        version: 7,
        run: 3,
        startStep: 20,
        endStep: 90,
        sources,
        peers: same(6).map((_, i) => idOf(i)),
      }),
    );
    assert.deepEqual([made.version, made.run, made.startStep, made.endStep], [7, 3, 20, 90]);
    assert.deepEqual(made.sources, sources);
    assert.deepEqual(made.standby, [idOf(4), idOf(5)]);
    assert.equal(made.dataHomes.length, 6);
  });

  it('says so when everybody declined', () => {
    const room = roomOf({ model: 'mlp' }, [1]);
    assert.throws(() => makePlan(requestOf(room, { devices: [] })), /everybody declined/);
  });

  for (const grid of ['1x1', '1x4', '4x1', '2x2', '2x3', '3x2']) {
    it(`has the grid that was asked for: ${grid}`, () => {
      const [stages, lanes] = grid.split('x').map(Number);
      const made = plan({ model: 'mlp', grid: { stages, lanes } }, same(6));
      assert.equal(shapeOf(made), Array.from({ length: stages }, () => lanes).join('+'));
      assert.match(made.predicted.why, new RegExp(`A grid of ${grid} was asked for`));
    });
  }

  it('refuses a grid that the room or the model is too small for', () => {
    const of = (stages: number, lanes: number, peers: number) => () =>
      plan({ model: 'mlp', grid: { stages, lanes } }, same(peers));
    assert.throws(of(2, 3, 4), { message: 'A grid of 2x3 needs 6 peers; here are 4.' });
    assert.throws(of(2, 1, 1), { message: 'A grid of 2x1 needs 2 peers; here is 1.' });
    assert.throws(of(6, 1, 6), {
      message: 'A grid of 6x1 needs a model that can be cut into 6 stages; mlp can into 4.',
    });
  });

  it('rounds numbers on the wire where that is left to it, parts may get lost anyway, and links are slow', () => {
    const slow = { goodput: 2e5 };
    const choices = { model: 'mlp', grid: { stages: 2, lanes: 2 } };
    const rounded = plan({ ...choices, rule: 'deadline' }, same(4), slow);
    assert.equal(rounded.wire, 'int8');
    assert.match(rounded.predicted.why, /Parts travel as int8: as float32 a step would take \d+% more/);
    const exact = plan({ ...choices, wire: 'float32', rule: 'deadline' }, same(4), slow);
    assert.equal(exact.wire, 'float32');
    assert.ok(rounded.predicted.stepMs * 1.1 < exact.predicted.stepMs);
    assert.equal(plan({ ...choices, rule: 'deadline' }, same(4), { goodput: 1e9 }).wire, 'float32');
    assert.equal(plan(choices, same(4), slow).wire, 'float32', 'without a rule a run is exact');
    assert.equal(plan({ ...choices, wire: 'float16' }, same(4), slow).wire, 'float16');
  });

  it('says so when too few peers are linked', () => {
    const room = roomOf({ model: 'mlp', grid: { stages: 2, lanes: 2 } }, same(4));
    room.links = linksOf(4, (a, b) => (a === 0 && b === 1 ? {} : null));
    assert.throws(
      () => makePlan(requestOf(room)),
      /A grid of 2x2 needs peers that are linked with one another, and too few of these are/,
    );
  });

  it('lets everybody take part where a pure shape was asked for', () => {
    assert.equal(shapeOf(plan({ model: 'mlp', partition: 'vertical' }, same(4))), '1+1+1+1');
    assert.equal(shapeOf(plan({ model: 'mlp', partition: 'horizontal' }, same(5))), '5');
    assert.match(
      plan({ model: 'mlp', partition: 'vertical' }, same(4)).predicted.why,
      /A vertical partition was asked for/,
    );
  });

  it('has stages of several lanes each where a hybrid was asked for', () => {
    for (const rttMs of [1, 20, 80]) {
      const { stages } = plan({ model: 'mlp', partition: 'hybrid' }, same(7), { rttMs });
      assert.ok(stages.length >= 2 && stages.every(({ lanes }) => lanes.length >= 2));
    }
  });

  it('takes another shape where there are too few peers for a hybrid, and says so', () => {
    const { predicted, stages } = plan({ model: 'mlp', partition: 'hybrid' }, same(3));
    assert.ok(stages.flatMap(({ lanes }) => lanes).length > 1);
    assert.match(predicted.why, /No hybrid partition is possible: it needs 4 peers, and here are 3/);
  });

  it('orders units by importance only where they are cut, known and exchangeable', () => {
    const room = roomOf({ model: 'mlp', grid: { stages: 2, lanes: 2 } }, same(4));
    const { spaces } = modelGraph(room.config.model);
    const importance = spaces.map(({ index, units }) => ({
      space: index,
      scores: Array.from({ length: units }, (_, u) => (u * 7) % 64),
    }));
    const known = importance.filter(({ space }) => space !== 2);
    const { orders, stages } = makePlan(requestOf(room, { importance: known }));
    const cut = new Set(stages.flatMap(({ slicings }) => slicings.map(({ space }) => space)));
    for (const { space, units } of orders) {
      assert.ok(cut.has(space) && space !== 2 && !spaces[space].pinned);
      const { scores } = importance[space];
      units.forEach(
        (unit, i) =>
          i > 0 &&
          assert.ok(
            scores[units[i - 1]] > scores[unit] ||
              (scores[units[i - 1]] === scores[unit] && units[i - 1] < unit),
          ),
      );
    }
    assert.ok(orders.length >= 2);
    assert.deepEqual(makePlan(requestOf(room)).orders, []);
  });

  it('orders units at random or in reverse for experiments, by the seed', () => {
    const room = roomOf({ model: 'mlp', grid: { stages: 1, lanes: 4 }, seed: 5 }, same(4));
    const importance = [{ space: 1, scores: Array.from({ length: 256 }, (_, u) => u) }];
    const ordered = (ordering: RunConfig['ordering'], seed = 5) => {
      const made = makePlan(
        requestOf({ ...room, config: { ...room.config, ordering, seed } }, { importance }),
      );
      return made.orders.find(({ space }) => space === 1)!.units;
    };
    assert.deepEqual(
      ordered('reverse'),
      Array.from({ length: 256 }, (_, u) => u),
    );
    assert.deepEqual(ordered('importance'), ordered('reverse').toReversed());
    assert.deepEqual(ordered('random'), ordered('random'));
    assert.notDeepEqual(ordered('random'), ordered('random', 6));
    assert.deepEqual(
      [...ordered('random')].sort((a, b) => a - b),
      ordered('reverse'),
    );
  });

  it('fits into a message with all its orders', () => {
    const widths = Array.from({ length: 12 }, () => 4096).join('-');
    const room = roomOf({ model: `mlp:${widths}`, grid: { stages: 1, lanes: 2 } }, same(2));
    const { spaces } = modelGraph(room.config.model);
    const importance = spaces.map(({ index, units }) => ({
      space: index,
      scores: Array.from({ length: units }, (_, u) => u),
    }));
    const { orders } = makePlan(requestOf(room, { importance }));
    const units = orders.reduce((sum, order) => sum + order.units.length, 0);
    assert.ok(units > 4096 && units <= LIMITS.run.unitsInOrders, String(units));
  });
});

describe('auto', () => {
  it('takes the hybrid unless a pure shape is more than a tenth faster', () => {
    let hybrids = 0;
    let pure = 0;
    for (let seed = 0; seed < 40; seed++) {
      const link = { rttMs: [1, 5, 20, 60][seed % 4], goodput: [1e6, 8e6][seed % 2] };
      const room = unevenRoom({ model: ['mlp', 'cnn'][seed % 2] }, 4 + (seed % 5), seed, link);
      const of = (partition: RunConfig['partition']) =>
        makePlan(requestOf({ ...room, config: { ...room.config, partition } }));
      const auto = of('auto');
      const hybrid = of('hybrid');
      if (auto.stages.length > 1 && auto.stages[0].lanes.length > 1) {
        hybrids++;
        assert.deepEqual(auto.stages, hybrid.stages);
      } else {
        pure++;
        assert.ok(
          auto.predicted.stepMs * 1.1 < hybrid.predicted.stepMs * 1.001,
          `${auto.predicted.stepMs} against ${hybrid.predicted.stepMs}`,
        );
        assert.match(auto.predicted.why, /The best hybrid would take \d+ ms, \d+% more/);
      }
    }
    assert.ok(hybrids >= 5 && pure >= 5, `${hybrids} hybrids, ${pure} pure`);
  });

  it('says so in a room that is too small for a hybrid', () => {
    for (const peers of [2, 3]) {
      const { predicted } = plan({ model: 'mlp' }, same(peers));
      assert.match(
        predicted.why,
        new RegExp(`No hybrid is possible: it needs 4 peers, and here are ${peers}`),
      );
    }
    assert.match(
      plan({ model: 'mlp' }, [200]).predicted.why,
      /There is one peer, which holds the whole model/,
    );
  });

  it('never leaves all work to one of several', () => {
    const { stages } = plan({ model: 'mlp' }, same(4, 1), { rttMs: 200 });
    assert.ok(stages.flatMap(({ lanes }) => lanes).length > 1);
  });
});

describe('layers in lanes', () => {
  it('go in pairs of columns and rows, with one exchange for two layers', () => {
    const choices = { model: 'mlp:128-128-128-128-128', grid: { stages: 1, lanes: 2 } };
    const made = plan(choices, same(2));
    const linear = modelGraph(roomOf(choices, [1]).config.model).nodes.filter(
      ({ kind }) => kind === 'linear',
    );
    assert.equal(made.stages[0].splits[linear[0].index], 'columns');
    // Six products: no exchange in the middle of a pair, after each the sums are completed by all, biases included.
    assert.equal(kinds(made, choices), 'reduce reduce reduce');
  });

  it('end in rows, summed up by every lane, so that a missing part is dropout of hidden units', () => {
    for (const model of ['mlp', 'cnn', 'resnet']) {
      for (const grid of [
        { stages: 1, lanes: 3 },
        { stages: 2, lanes: 2 },
      ]) {
        const made = plan({ model, grid }, same(4));
        const { nodes } = modelGraph(roomOf({ model }, [1]).config.model);
        const last = nodes.findLast(({ kind }) => kind === 'linear')!;
        const { splits, nodes: range } = made.stages.at(-1)!;
        assert.equal(splits[last.index - range[0]], 'rows');
        assert.deepEqual(splits.slice(last.index - range[0] + 1), ['summand']);
      }
    }
  });

  it('pass slices on only over links that lose little, or where bytes decide', () => {
    const choices = { model: 'mlp:128-128-128-128-128', grid: { stages: 2, lanes: 2 } };
    // Two pairs of neighbours: exchanges are cheap within a pair, and slow from pair to pair.
    const isNear = (a: number, b: number) => (a === 0 && b === 1) || (a === 2 && b === 3);
    const between = (goodput: number, loss: number) => {
      const room = roomOf(choices, same(4, 50));
      room.links = linksOf(4, (a, b) => ({
        rttMs: 1,
        ...(isNear(a, b) ? { goodput: 1e8 } : { goodput, loss }),
      }));
      return /\((\w+)\)/.exec(kinds(makePlan(requestOf(room)), choices))![1];
    };
    assert.equal(between(1e5, 0), 'slice');
    assert.equal(between(1e5, 0.1), 'reduce');
    assert.equal(between(3e4, 0.1), 'slice');
  });

  it('have more than one way between stages where a run goes on without lost parts', () => {
    const choices = { model: 'mlp', grid: { stages: 2, lanes: 2 } };
    const between = (rule?: 'deadline' | 'stall') =>
      /\((\w+)\)/.exec(kinds(plan({ ...choices, ...(rule && { rule }) }, same(4)), choices))![1];
    assert.equal(between(), 'slice');
    assert.equal(between('stall'), 'slice');
    assert.notEqual(between('deadline'), 'slice');
  });

  it('do not cut a residual connection open', () => {
    const made = plan({ model: 'resnet', grid: { stages: 4, lanes: 2 } }, same(8));
    assert.equal(shapeOf(made), '2+2+2+2');
  });
});
