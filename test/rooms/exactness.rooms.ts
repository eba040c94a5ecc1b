import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as esbuild from 'esbuild';
import { io } from '@tensorflow/tfjs';
import { runConfig } from '../../client/defaults.ts';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import type { ModelArtifacts } from '../../client/engine/assemble.ts';
import { glorotKernel, zeroBias } from '../../client/engine/init.ts';
import { modelShapes } from '../../client/model/shapes.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { wholeLayers } from '../support/reference.ts';
import { inRoom, train } from './support.ts';

type Parameters = Record<string, number[]>;

/** The one-device reference, for a page of the same browser: plain tfjs on the same WebGL. */
async function bundledReference(): Promise<string> {
  const { outputFiles } = await esbuild.build({
    entryPoints: ['test/rooms/reference-page.ts'],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
  });
  return outputFiles[0].text;
}

function parametersOf({ weightSpecs, weightData }: ModelArtifacts, config: RunConfig): Parameters {
  const tensors = io.decodeWeights(weightData, weightSpecs);
  const names = modelShapes(config.model).flatMap((shape) => shape.parameters.map(({ name }) => name));
  return Object.fromEntries(names.map((name) => [name, [...tensors[name].dataSync()]]));
}

function updateError(name: string, start: Float32Array, got: number[], wanted: number[]): number {
  assert.equal(got.length, start.length, name);
  let difference = 0;
  let size = 0;
  start.forEach((x, i) => {
    difference += (got[i] - wanted[i]) ** 2;
    size += (wanted[i] - x) ** 2;
  });
  return Math.sqrt(difference / size);
}

describe('exactness in real browsers, over WebRTC and WebGL', () => {
  it(
    'one step of three browsers is one step of plain tfjs on one device, within 1e-3',
    { timeout: 300_000 },
    async () => {
      const script = await bundledReference();
      await inRoom({ peers: 3 }, async (rig) => {
        for (const optimizer of ['sgd', 'momentum', 'adam'] as const) {
          const choices = { steps: 1, batch: 64, optimizer, seed: 11, learningRate: 0.05 };
          const config = runConfig(choices);
          const report = await train(rig, choices);
          assert.equal(report.plan.stages.length, 3);
          assert.match(report.peers[0].backend, /^webgl/);
          const got = parametersOf(await rig.saveModel(), config);

          const page = await (await rig.browsers[0].newContext()).newPage();
          await page.goto(new URL('/healthz', rig.server.url).href);
          await page.evaluate(script);
          const wanted = (await page.evaluate(
            ([chosen, rate]) =>
              (globalThis as unknown as { oneStep: (c: unknown, r: number) => Promise<unknown> }).oneStep(
                chosen,
                rate,
              ),
            [config, learningRateAt(config, 0)] as const,
          )) as Parameters;
          await page.context().close();

          for (const layer of wholeLayers(config.model)) {
            for (const { name, data } of [glorotKernel(config.seed, layer), zeroBias(layer)]) {
              const error = updateError(name, data, got[name], wanted[name]);
              assert.ok(error <= 1e-3, `${optimizer}: the update of ${name} is off by ${error}`);
            }
          }
        }
      });
    },
  );
});
