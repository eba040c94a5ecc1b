import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planText, usedText } from '../../client/cli/swarm-text.ts';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph } from '../../client/model/graph.ts';
import type { PeerView } from '../../client/swarm/record/snapshot.ts';
import type { Report } from '../../shared/schema/report.ts';
import { lanesStage, oneLaneStage, planOf } from '../support/plans.ts';

const peers = ['Anna', 'Ben', 'Cleo', 'Dan'].map((name, i): PeerView => ({
  id: `p${'abcd'[i].repeat(9)}`,
  name,
  device: {
    backend: 'webgl',
    where: 'worker',
    note: '',
    grain: 4,
    onProcessor: false,
    emulatedMs: null,
    memoryBytes: null,
    browser: 'Chromium',
  },
  isSelf: i === 0,
  isCoordinator: false,
  layers: [],
}));
const [anna, ben, cleo, dan] = peers.map(({ id }) => id);

describe('the plan in the terminal', () => {
  it('of one lane a stage names peers and layers', () => {
    const config = runConfig();
    const stages = [oneLaneStage([0, 3], anna), oneLaneStage([3, 11], ben)];
    assert.deepEqual(planText(planOf(stages, anna, { standby: [dan, cleo] }), config, peers), [
      'stage  peer  layers                   parameters  predicted share',
      '    1  Anna  dense_1                     200,960              51%',
      '    2  Ben   dense_2 dense_3 dense_4      41,802              49%',
      'Cleo and Dan stand by without a block.',
      'Predicted: 204.1 ms per step. Two stages beat one by 22%: the links are slow.',
    ]);
  });

  it('of several lanes names their units, owner and deputy, and the exchanges', () => {
    const config = runConfig();
    const stages = [
      lanesStage(config.model, [0, 6], [anna, ben, cleo], [3, 2, 1]),
      oneLaneStage([6, 11], dan),
    ];
    assert.deepEqual(planText(planOf(stages, anna), config, peers), [
      'stage  peer          layers and units                  parameters  of the stage  of the step',
      '1      Anna (owner)  dense_1 128/256  dense_2 128/256     116,928           50%  51%',
      '       Ben (deputy)  dense_1 85/256  dense_2 85/256        77,648           33%',
      '       Cleo          dense_1 43/256  dense_2 43/256        39,280           17%',
      '2      Dan           dense_3 dense_4                        8,906          100%  49%',
      'Exchanges inside stage 1: reduce; stage 1 to 2: gather.',
      'Predicted: 204.1 ms per step. Two stages beat one by 22%: the links are slow.',
    ]);
  });

  it('of a deep model is no longer than it must be', () => {
    const config = runConfig({ model: 'resnet' });
    const { nodes } = modelGraph(config.model);
    const lines = planText(planOf([oneLaneStage([0, nodes.length], anna)], anna), config, peers);
    assert.match(lines[1], /^ +1 +Anna +conv2d_1 to dense_1 \(29 layers\) +19,954 +100%$/);
  });
});

describe('what was used, in the terminal', () => {
  it('is told for each boundary and direction', () => {
    const boundaries = [
      { kind: 'gather', after: 'dense_1', forward_used: 0.6983, backward_used: 0.345 },
      { kind: 'reduce', after: 'dense_2', forward_used: 1, backward_used: null },
    ] as Report['plan']['boundaries'];
    assert.equal(
      usedText(boundaries),
      'gather after dense_1 69.8%, back 34.5%; reduce after dense_2 100.0%, back none due',
    );
    assert.equal(usedText([]), 'nothing went between peers');
  });
});
