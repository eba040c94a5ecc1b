import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { Stage } from '../../shared/schema/plan.ts';
import { dense, flatten, layerNorm, model } from '../support/specs.ts';
import { spaceOf, stagesOf } from './cuts.ts';
import { BESIDE, MLP } from './models-by-hand.ts';

const twoByTwo = (): Stage[] =>
  stagesOf(MLP, (layer) => (layer === 'a' ? 'columns' : 'rows'), [
    { until: 'c', shares: [1, 1] },
    { shares: [1, 2], entering: 'slices' },
  ]);

/** What is said of the stages of two lanes each once `spoil` has changed them. */
function complaint(spoil: (stages: Stage[]) => void, stages = twoByTwo(), spec: ModelSpec = MLP): string {
  spoil(stages);
  try {
    partitionOf(modelGraph(spec), stages);
  } catch (error) {
    return (error as Error).message;
  }
  return 'none';
}

describe('stages that do not fit a model are refused in one line', () => {
  const NODES = 'its stages do not hold the nodes of the model once, in order';
  const cases: [title: string, spoil: (stages: Stage[]) => void, line: string][] = [
    ['a gap between stages', (s) => (s[1].nodes[0] += 1), NODES],
    ['a node held twice', (s) => (s[1].nodes[0] -= 1), NODES],
    ['nodes beyond the model', (s) => (s[1].nodes[1] += 1), NODES],
    [
      'an end before the model is over',
      (s) => {
        s[1].nodes[1] -= 1;
        s[1].splits.pop();
      },
      NODES,
    ],
    ['a stage without nodes', (s) => (s[0].nodes[1] = 0), NODES],
    ['a split too few', (s) => s[0].splits.pop(), 'stage 0 has not one split for each node'],
    ['an owner that is no lane', (s) => (s[1].owner = 2), 'stage 1 has no lane for its owner or deputy'],
    ['a deputy that is no lane', (s) => (s[0].deputy = 2), 'stage 0 has no lane for its owner or deputy'],
    ['a peer with two blocks', (s) => (s[1].lanes[0] = s[0].lanes[1]), 'a peer holds two blocks'],
    [
      'a cut over one lane',
      (s) => {
        s[1].lanes.pop();
        s[1].deputy = 0;
      },
      'c in stage 1 is cut, but there is one lane',
    ],
    ['slices of a linear node', (s) => (s[0].splits[0] = 'slices'), 'a in stage 0 cannot be cut by slices'],
    ['copies of a linear node', (s) => (s[0].splits[0] = 'copies'), 'a in stage 0 cannot be cut by copies'],
    ['rows of a bias', (s) => (s[0].splits[1] = 'rows'), 'a in stage 0 cannot be cut by rows'],
    [
      'columns of an activation',
      (s) => (s[0].splits[2] = 'columns'),
      'a in stage 0 cannot be cut by columns',
    ],
    [
      'copies of parameters',
      (s) => (s[0].splits[1] = 'copies'),
      'a in stage 0 has parameters, which need one owner',
    ],
    [
      'a space that is not cut',
      (s) => (s[0].slicings = s[0].slicings.filter(({ space }) => space !== spaceOf(MLP, 'a'))),
      `stage 0 does not say once how the units of space ${spaceOf(MLP, 'a')} are cut`,
    ],
    [
      'a space that is cut twice',
      (s) => s[0].slicings.push({ ...s[0].slicings[0] }),
      `stage 0 does not say once how the units of space ${spaceOf(MLP, 'a')} are cut`,
    ],
    ...(
      [
        ['one lane too many', [0, 2, 4, 8]],
        ['units left over', [0, 4, 7]],
        ['units that are not there', [0, 4, 9]],
        ['a first unit that nobody has', [1, 4, 8]],
        ['a cut that goes back', [0, 9, 8]],
      ] as const
    ).map(([title, cuts]): (typeof cases)[number] => [
      title,
      (s) => (s[0].slicings[0].cuts = [...cuts]),
      `stage 0 does not cut the units of space ${spaceOf(MLP, 'a')} over its lanes once`,
    ]),
    [
      'scores in slices',
      (s) => {
        s[1].splits[1] = 'slices';
        s[1].slicings.push({ space: spaceOf(MLP, 'c'), cuts: [0, 1, 3] });
      },
      'the loss is neither at one owner nor on every lane',
    ],
    [
      'a loss on every lane of what one lane has',
      (s) => (s[1].splits = ['owner', 'owner'].map(() => 'copies' as const)),
      'c in stage 1 cannot be cut by copies',
    ],
    [
      'a bias that is added to slices',
      (s) => (s[0].splits[1] = 'summand'),
      'a in stage 0 has no sum to be added to',
    ],
    [
      'an activation as a summand',
      (s) => (s[0].splits[2] = 'summand'),
      'a in stage 0 cannot be cut by summand',
    ],
  ];
  for (const [title, spoil, line] of cases) it(title, () => assert.equal(complaint(spoil), line));

  it('says nothing of stages that fit', () =>
    assert.equal(
      complaint(() => undefined),
      'none',
    ));

  it('a softmax or a normalization in slices', () => {
    const spec = model([6], [dense('a', 4), layerNorm('n'), dense('b', 3)]);
    const stages = stagesOf(spec, () => 'columns', [{ shares: [1, 1] }]);
    const line = complaint((s) => (s[0].splits[2] = 'slices'), stages, spec);
    assert.equal(line, 'n in stage 0 cannot be cut by slices');
    const copies = complaint((s) => (s[0].splits[2] = 'copies'), stages, spec);
    assert.equal(copies, 'n in stage 0 has parameters, which need one owner');
  });

  it('a loss on every lane that none of them has a summand of', () => {
    const spec = model([6], [dense('a', 4), dense('b', 3, { useBias: false }), flatten('f')]);
    const stages = stagesOf(spec, (layer) => (layer === 'b' ? 'rows' : 'columns'), [
      { until: 'f', shares: [1, 1] },
      { shares: [1, 1] },
    ]);
    stages[1].splits = ['copies'];
    const line = complaint(() => undefined, stages, spec);
    assert.equal(line, 'the loss is on every lane, but not all that it is made of');
  });

  it('a stage that ends beside a connection', () => {
    const stages = stagesOf(BESIDE, () => 'columns', [{ until: 'c', shares: [1, 1] }, { shares: [1, 1] }]);
    assert.equal(
      complaint(() => undefined, stages, BESIDE),
      'stage 0 ends inside a residual connection: s reads from before its end',
    );
  });
});
