import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { candidates, type Kind } from '../../client/planner/candidates.ts';
import { CostModel, objectiveOf } from '../../client/planner/cost-model.ts';
import { problemOf } from '../../client/planner/profile.ts';
import { bestOfRandom } from './random-placements.ts';
import { unevenRoom } from './rooms.ts';

const MODELS = ['mlp:256-128-512-64-256-128-512-64-256-128-512', 'mlp:256-128-512-64', 'cnn', 'resnet'];
const LINKS = {
  ordinary: { rttMs: 5, goodput: 5e6 },
  far: { rttMs: 40, goodput: 5e6 },
  fast: { rttMs: 1, goodput: 5e7 },
  slow: { rttMs: 10, goodput: 1e6 },
};
const KINDS: readonly Kind[] = ['hybrid', 'horizontal', 'vertical'];

describe('a room of sixteen gets a plan within 2% of the best of 10,000 random ones and local search', () => {
  for (const choice of MODELS) {
    for (const [name, link] of Object.entries(LINKS)) {
      it(`${choice}, ${name} links`, (t) => {
        const room = unevenRoom({ model: choice }, 16, 7, link);
        const fresh = () => new CostModel(problemOf(room.config, room.devices, room.links, []));
        const model = fresh();
        const plans = KINDS.flatMap((kind) => candidates(model, kind, null).slice(0, 1));
        const others = KINDS.flatMap((kind) => bestOfRandom(fresh(), kind, 1) ?? []);
        const ratio = Math.min(...plans.map(objectiveOf)) / Math.min(...others.map(objectiveOf));
        t.diagnostic(`${ratio.toFixed(4)} times the best of the random ones`);
        assert.ok(ratio <= 1.02, `${ratio} times as much as the best of the random ones`);
      });
    }
  }
});
