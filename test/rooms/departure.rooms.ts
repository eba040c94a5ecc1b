import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runConfig } from '../../client/defaults.ts';
import { inRoom, until } from './support.ts';

/** The planner may leave one of three to stand by, and then nothing is lost with it. */
const EACH_HOLDS_A_BLOCK = { stages: 3, lanes: 1 };

describe('a browser that is killed', () => {
  it('is noticed within 3 s, and the rest trains to the end', { timeout: 300_000 }, async () => {
    await inRoom({ peers: 3, isolate: true }, async (rig, room) => {
      await rig.start(runConfig({ steps: 150, onDeparture: 'continue', grid: EACH_HOLDS_A_BLOCK }));
      await rig.follow(({ run }) => run.phase === 'training' && run.stepsDone >= 10, { timeoutMs: 120_000 });
      const victim = rig.peers.find((peer) =>
        room.peers.find(({ name, isCoordinator }) => name === peer.name && !isCoordinator),
      )!;
      const rest = rig.peers.filter((peer) => peer !== victim);
      const killedAt = Date.now();
      victim.browser.kill();
      await until(
        'the others notice',
        async () =>
          (await Promise.all(rest.map((peer) => peer.snapshot()))).every(({ peers }) => peers.length === 2),
        10_000,
      );
      const noticedMs = Date.now() - killedAt;
      console.log(`noticed after ${noticedMs} ms`);
      assert.ok(noticedMs < 3_000, `noticed after ${noticedMs} ms`);
      const end = await rig.waitFor('finished', { timeoutMs: 200_000 });
      const messages = end.run.events.map((event) => event.message).join('\n');
      assert.match(messages, new RegExp(`${victim.name} is gone`));
      assert.match(messages, /what it had learnt is lost/);
      const report = await rig.report();
      assert.equal(report.steps.at(-1)!.step, 149);
      assert.equal(report.final.test_samples, 10_000);
    });
  });

  it('the coordinator: another one takes over', { timeout: 300_000 }, async () => {
    await inRoom({ peers: 3, isolate: true }, async (rig, room) => {
      await rig.start(runConfig({ steps: 120, onDeparture: 'continue', grid: EACH_HOLDS_A_BLOCK }));
      await rig.follow(({ run }) => run.phase === 'training' && run.stepsDone >= 10, { timeoutMs: 120_000 });
      const coordinator = room.peers.find(({ isCoordinator }) => isCoordinator)!.name;
      rig.peers.find((peer) => peer.name === coordinator)!.browser.kill();
      await rig.waitFor('finished', { timeoutMs: 200_000 });
      const report = await rig.report();
      assert.equal(report.steps.at(-1)!.step, 119);
      assert.equal(report.coordinator.length, 2);
    });
  });
});
