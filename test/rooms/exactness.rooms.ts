import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as esbuild from 'esbuild';
import { io } from '@tensorflow/tfjs';
import { runConfig } from '../../client/defaults.ts';
import { learningRateAt } from '../../client/pipeline/learning-rate.ts';
import type { ModelArtifacts } from '../../client/engine/assemble.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { initialPiece } from '../../client/model/pieces.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
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

const parametersIn = ({ model }: RunConfig) => modelGraph(model).nodes.flatMap((node) => node.parameters);

function parametersOf({ weightSpecs, weightData }: ModelArtifacts, config: RunConfig): Parameters {
  const tensors = io.decodeWeights(weightData, weightSpecs);
  const names = parametersIn(config).map(({ name }) => name);
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

const CASES = [
  { model: 'mlp', optimizer: 'sgd', partition: 'vertical', grid: null, stages: 4 },
  { model: 'mlp', optimizer: 'momentum', grid: { stages: 2, lanes: 2 }, stages: 2 },
  { model: 'mlp', optimizer: 'adam', partition: 'horizontal', stages: 1 },
  { model: 'cnn', optimizer: 'sgd', grid: { stages: 2, lanes: 2 }, stages: 2 },
] as const;

describe('exactness in real browsers, over WebRTC and WebGL', () => {
  it(
    'one step of four browsers is one step of plain tfjs on one device, within 1e-3',
    { timeout: 900_000 },
    async () => {
      const script = await bundledReference();
      await inRoom({ peers: 4 }, async (rig) => {
        for (const { stages, ...wish } of CASES) {
          const choices = { steps: 1, batch: 64, seed: 11, learningRate: 0.05, ...wish };
          const config = runConfig(choices);
          const report = await train(rig, choices);
          assert.equal(report.plan.stages.length, stages);
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

          const errors = parametersIn(config).map((parameter) => {
            const { name, data } = initialPiece(
              config.seed,
              parameter,
              parameter.shape.map(() => null),
            );
            return { name, error: updateError(name, data, got[name], wanted[name]) };
          });
          const worst = errors.reduce((a, b) => (b.error > a.error ? b : a));
          console.log(
            `${wish.model}, ${stages} stages, ${wish.optimizer}: worst ${worst.error.toExponential(1)} (${worst.name})`,
          );
          assert.ok(
            worst.error <= 1e-3,
            `${wish.model}: the update of ${worst.name} is off by ${worst.error}`,
          );
        }
      });
    },
  );
});
