import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import * as v from 'valibot';
import { runConfig } from '../../client/defaults.ts';
import { modelGraph, sizeOf } from '../../client/model/graph.ts';
import { ReportSchema, type Report } from '../../shared/schema/report.ts';
import { accuracyOfSavedModel } from './saved-model.ts';

const run = promisify(execFile);

async function swarm(...flags: string[]): Promise<{ report: Report; savedAccuracy: number; output: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'edgepipe-rooms-'));
  try {
    const files = ['--report', join(folder, 'out.json'), '--save', join(folder, 'model')];
    const { stdout } = await run(
      process.execPath,
      ['--import', 'tsx', 'client/cli/swarm.ts', ...flags, ...files],
      {
        maxBuffer: 1e8,
      },
    );
    const report = v.parse(ReportSchema, JSON.parse(await readFile(join(folder, 'out.json'), 'utf8')));
    return { report, savedAccuracy: await accuracyOfSavedModel(join(folder, 'model')), output: stdout };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function assertDistributed(report: Report): void {
  const wanted = modelGraph(runConfig().model).nodes.flatMap((node) => node.parameters);
  const held = report.peers.flatMap((peer) => peer.blocks.flatMap((block) => block.parameters));
  const numbers = (list: { name: string; shape: number[] }[], name: string) =>
    list.filter((array) => array.name === name).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  for (const { name } of wanted) {
    assert.equal(numbers(held, name), numbers(wanted, name), `over all peers the pieces of ${name} add up`);
  }
  for (const peer of report.peers) {
    const { memory } = peer;
    const parameters = peer.blocks.flatMap((block) => block.parameters);
    const bytes = 4 * parameters.reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0);
    assert.equal(memory.parameters_bytes, bytes, `${peer.name} holds exactly the parameters of its block`);
    assert.equal(memory.optimizer_bytes, 2 * bytes, 'Adam keeps two numbers for each parameter');
    const accounted =
      memory.parameters_bytes + memory.gradients_bytes + memory.optimizer_bytes + memory.activations_bytes;
    assert.ok(
      memory.peak_bytes <= 1.2 * accounted,
      `${peer.name}: peak ${memory.peak_bytes}, accounted ${accounted}`,
    );
  }
}

describe('npm run swarm', () => {
  it('four browsers train MNIST together, each holding its block alone', { timeout: 400_000 }, async () => {
    const { report, savedAccuracy, output } = await swarm(
      ...['--peers', '4', '--steps', '200', '--seed', '1', '--partition', 'vertical'],
    );
    console.log(
      `test accuracy ${report.final.test_accuracy}, saved model ${savedAccuracy}, ${report.throughput.samples_per_second.toFixed(0)} samples/s`,
    );
    assert.ok(report.final.test_accuracy >= 0.94);
    assert.equal(report.final.test_samples, 10_000);
    assert.ok(Math.abs(savedAccuracy - report.final.test_accuracy) <= 0.0005);
    assert.equal(report.steps.length, 200);
    assert.equal(report.peers.filter((peer) => peer.blocks.length > 0).length, 4);
    assert.deepEqual(report.micro_batches, { whole: 200 * 4 * 4, partial: 0, skipped: 0 });
    assertDistributed(report);
    assert.match(output, /nothing since Start; no tensor went through it/);
  });

  it(
    'two stages of two lanes: the pieces add up, and the wire carries what the formula says',
    { timeout: 400_000 },
    async () => {
      const { report, savedAccuracy } = await swarm('--peers', '4', '--steps', '60', '--grid', '2x2');
      console.log(
        `2x2: test accuracy ${report.final.test_accuracy} after 60 steps, saved model ${savedAccuracy}, ${report.throughput.samples_per_second.toFixed(0)} samples/s`,
      );
      assert.ok(report.final.test_accuracy >= 0.88);
      assert.ok(Math.abs(savedAccuracy - report.final.test_accuracy) <= 0.0005);
      assert.deepEqual(
        report.plan.stages.map(({ lanes }) => lanes.length),
        [2, 2],
      );
      assert.deepEqual(report.micro_batches, { whole: 60 * 4 * 4, partial: 0, skipped: 0 });
      assertDistributed(report);
      for (const boundary of report.plan.boundaries) {
        const { after, kind, forward_bytes, backward_bytes } = boundary;
        const { expected_bytes, expected_backward_bytes } = boundary;
        for (const [bytes, expected] of [
          [forward_bytes, expected_bytes],
          [backward_bytes, expected_backward_bytes],
        ]) {
          const what = `${kind} after ${after}: ${bytes} of ${expected}`;
          assert.ok(Math.abs(bytes - expected) <= 0.05 * expected, what);
        }
      }
      assert.ok(report.importance.length > 0);
    },
  );

  it('more browsers than layers: those left over stand by', { timeout: 300_000 }, async () => {
    const { report } = await swarm('--peers', '6', '--steps', '10', '--partition', 'vertical');
    assert.equal(report.plan.stages.length, 4);
    assert.equal(report.plan.standby.length, 2);
    assert.equal(report.steps.length, 10);
  });
});
