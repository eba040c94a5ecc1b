import { describe, it } from 'node:test';
import { modelGraph } from '../../client/model/graph.ts';
import { passagesOf } from '../../client/partition/exchange.ts';
import { partitionOf } from '../../client/partition/partition.ts';
import { assertProperty } from '../support/property.ts';
import { modelArbitrary } from '../support/random-model.ts';
import { cutModelArbitrary } from '../support/random-partition.ts';
import { assertCovered, assertOwnedOnce, assertRunnable, programs } from './walk.ts';

const cutModels = cutModelArbitrary(modelArbitrary('kinked'));

describe('any cut of any model', () => {
  const check = (test: string, predicate: (partition: ReturnType<typeof partitionOf>) => void) => {
    it(test, () =>
      assertProperty({ file: import.meta.url, test, seed: 1, runs: 500 }, cutModels, ({ model, stages }) =>
        predicate(partitionOf(modelGraph(model), stages)),
      ),
    );
  };

  check('gives programs that read only what was written, and write nothing that is not read', (partition) => {
    for (const { stage, lane, program } of programs(partition)) {
      const isLastStage = stage === partition.stages.length - 1;
      const isOwner = lane === partition.stages[stage].owner;
      const sendsScores = partition.boundaries.some(
        ({ index, isOneWay }) => isOneWay && passagesOf(partition, index).some(({ from }) => from === lane),
      );
      assertRunnable(program, isLastStage && (isOwner || sendsScores));
    }
  });

  check('moves each position once to each receiver, and each summand', (partition) => {
    for (const { index } of partition.boundaries) assertCovered(partition, index);
  });

  check('gives each entry of each parameter to one lane', assertOwnedOnce);
});
