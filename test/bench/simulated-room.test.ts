import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readTestImages } from '../../client/cli/experiment/dense-accuracy.ts';
import { cellsOf, configOf, PEERS, QUICK, type Settings } from '../../client/cli/experiment/grid.ts';
import type { Outcome } from '../../client/cli/experiment/outcome.ts';
import { paceOf, runCell } from '../../client/cli/experiment/run-cell.ts';
import { mnist } from './mnist.ts';
import { SimulatedRoom } from './simulated-room.ts';

const settings: Settings = {
  ...QUICK,
  ...{ model: 'mlp:16-16', seconds: 5, compareSeconds: 4, everySeconds: 2 },
  ...{ troubles: ['loss-30'], ways: ['hybrid deadline'], runsIn: 'simulation' },
};
const [cell] = cellsOf(settings);
const config = configOf(cell, settings, null);
const room = new SimulatedRoom(mnist(), settings.deviceMs);

describe('the experiment on virtual time', () => {
  it('gives what the run decides, whatever the room trained before', async () => {
    const images = await readTestImages();
    const outcome = async (): Promise<Partial<Outcome>> => {
      const found = await runCell(room, cell, config, settings, images, () => undefined);
      return { ...found, busyProcessors: 0 };
    };
    const first = await outcome();
    assert.deepEqual(await outcome(), first);
    const { curve, shape, ledger, used } = first as Outcome;
    assert.equal(shape, '2+2');
    assert.deepEqual(
      curve.map(({ seconds }) => Math.round(seconds / 2)),
      [1, 2],
    );
    assert.ok(curve[1].step > curve[0].step && curve[1].accuracy > 0.3, JSON.stringify(curve));
    assert.ok(ledger.partial > 0 && ledger.whole > 0);
    assert.ok(used.every(({ forward }) => forward !== null && forward > 0.5 && forward <= 1));
  });

  it('takes as long as its devices and links', async () => {
    const { microBatches, deviceMs } = settings;
    const lossFree = { ...cell, trouble: { ...cell.trouble, faults: {} } };
    const stepMs = 1000 / (await paceOf(room, configOf(lossFree, settings, null), 5));
    // Four devices share three passes of each micro-batch, and its parts cross two boundaries there and one back, in 25 ms on average.
    const workMs = (3 * microBatches * deviceMs) / PEERS;
    assert.ok(stepMs > workMs + 3 * 25 && stepMs < workMs + 3 * 50, `${stepMs} ms a step`);
  });

  it('says when time is over', async () => {
    await room.start(config);
    await assert.rejects(
      room.follow(() => false, { timeoutMs: 1000 }),
      /not done in time/,
    );
    await room.close();
  });
});
