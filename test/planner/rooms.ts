import fc from 'fast-check';
import type { PlannerLink } from '../../client/planner/links.ts';
import type { Device } from '../../client/planner/profile.ts';
import { runConfig, type RunChoices } from '../../client/defaults.ts';
import { modelGraph } from '../../client/model/graph.ts';
import { randomUniform } from '../../shared/counter-random.ts';
import type { ModelSpec } from '../../shared/model.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import { WIRE_FORMATS } from '../../shared/wire.ts';

/** Rooms to plan for. */
export interface Room {
  config: RunConfig;
  devices: Device[];
  links: PlannerLink[];
}

export const idOf = (i: number): string => `p${String(i).padStart(9, '0')}`;

/**
 * A device that takes `ms` for the whole model's forward, and as much for its backward, by operations. None of that can be deferred, so
 * that the formulas of 1F1B hold.
 */
export function deviceOf(model: ModelSpec, i: number, ms: number, more: Partial<Device> = {}): Device {
  const { nodes } = modelGraph(model);
  const all = nodes.reduce((sum, node) => sum + node.operations, 0);
  const layerCosts = model.layers.map(({ name }) => {
    const own = nodes.filter(({ layer }) => layer === name);
    const share = own.reduce((sum, node) => sum + node.operations, 0) / all;
    return { forwardMs: ms * share, backwardMs: ms * share, weightsMs: 0 };
  });
  const plain = {
    fixedShare: 0,
    taskMs: 0,
    msPerNumber: 0,
    grain: 1,
    onProcessor: false,
    memoryBytes: null,
    steadiness: 1,
  };
  return { peer: idOf(i), layerCosts, ...plain, ...more };
}

export type LinkShape = Partial<Pick<PlannerLink, 'rttMs' | 'loss' | 'goodput'>>;

/** Every pair has a link but those for which `shape` says null. */
export function linksOf(
  count: number,
  shape: (a: number, b: number) => LinkShape | null = () => ({}),
): PlannerLink[] {
  const links: PlannerLink[] = [];
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      const own = shape(a, b);
      if (own) links.push({ a: idOf(a), b: idOf(b), rttMs: 2, loss: 0, goodput: 8e6, ...own });
    }
  }
  return links;
}

/** A room of devices that take so long for the whole model, each linked to each alike. */
export function roomOf(choices: RunChoices, ms: readonly number[], link: LinkShape = {}): Room {
  const config = runConfig(choices);
  return {
    config,
    devices: ms.map((one, i) => deviceOf(config.model, i, one)),
    links: linksOf(ms.length, () => link),
  };
}

/** A room of uneven devices and links, by its seed. */
export function unevenRoom(choices: RunChoices, peers: number, seed: number, link: LinkShape = {}): Room {
  const { rttMs = 5, goodput = 5e6, loss = 0 } = link;
  let draws = 0;
  const between = (low: number, high: number) => low + (high - low) * randomUniform(seed, draws++);
  const config = runConfig(choices);
  const devices = Array.from({ length: peers }, (_, i) =>
    deviceOf(config.model, i, between(100, 400), { taskMs: between(0, 2), steadiness: between(0.7, 1) }),
  );
  const links = linksOf(peers, () => ({
    rttMs: rttMs * between(0.5, 1.5),
    goodput: goodput * between(0.5, 1.5),
    loss: loss * between(0, 2),
  }));
  return { config, devices, links };
}

/** Any room for a model: uneven devices with or without budgets, links of all qualities, some of them missing. */
export const roomArbitrary = (
  model: ModelSpec,
  { peersMax, mayBeTight, mayLackLinks }: { peersMax: number; mayBeTight: boolean; mayLackLinks: boolean },
): fc.Arbitrary<Room> =>
  fc
    .record({
      peers: fc.integer({ min: 1, max: peersMax }),
      partition: fc.constantFrom('auto', 'hybrid', 'vertical', 'horizontal'),
      isEven: fc.boolean(),
      microBatches: fc.constantFrom(1, 2, 4, 8),
      optimizer: fc.constantFrom('sgd', 'momentum', 'adam'),
      rttMs: fc.constantFrom(0.5, 5, 40),
      goodput: fc.constantFrom(2e5, 5e6, 5e7),
      lossMax: fc.constantFrom(0, 0.1),
      linked: mayLackLinks ? fc.constantFrom(1, 0.7) : fc.constant(1),
      /** Budgets as a multiple of an equal share of the model. */
      room: mayBeTight ? fc.constantFrom(null, 0.5, 1.5, 3, 6) : fc.constant(null),
      seed: fc.nat(1_000_000),
    })
    .map((choice): Room => {
      let draws = 0;
      const draw = () => randomUniform(choice.seed, draws++);
      const { partition, optimizer, microBatches, isEven, seed } = choice;
      const wire = WIRE_FORMATS[seed % WIRE_FORMATS.length];
      const config: RunConfig = {
        ...runConfig({
          model,
          partition,
          microBatches,
          optimizer,
          wire,
          shares: isEven ? 'even' : 'measured',
        }),
        batch: 8 * microBatches,
      };
      const { nodes } = modelGraph(model);
      const numbers = nodes.reduce(
        (sum, { parameters, output }) =>
          sum +
          parameters.reduce((s, { shape }) => s + shape.reduce((p, x) => p * x, 1), 0) +
          8 * output.units * output.outer * output.inner,
        0,
      );
      const devices = Array.from({ length: choice.peers }, (_, i) => {
        const device = deviceOf(model, i, 5 + 95 * draw(), { taskMs: draw(), steadiness: 0.5 + draw() / 2 });
        // Some layers suit some devices better.
        device.layerCosts = device.layerCosts.map((cost) => {
          const [forwardMs, backwardMs] = [
            cost.forwardMs * (0.5 + draw()),
            cost.backwardMs * (0.5 + 2 * draw()),
          ];
          return { forwardMs, backwardMs, weightsMs: backwardMs * draw() };
        });
        const share =
          choice.room === null || draw() < 0.2
            ? null
            : (choice.room * (0.5 + draw()) * numbers * 16) / choice.peers;
        device.memoryBytes = share === null ? null : Math.ceil(share);
        return device;
      });
      const links = linksOf(choice.peers, () =>
        draw() < choice.linked
          ? {
              rttMs: choice.rttMs * (0.5 + draw()),
              goodput: choice.goodput * (0.5 + draw()),
              loss: choice.lossMax * draw(),
            }
          : null,
      );
      return { config, devices, links };
    });
