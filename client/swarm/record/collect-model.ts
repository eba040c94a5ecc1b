import type { PeerId } from '../../../shared/ids.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import { modelGraph } from '../../model/graph.ts';
import { partitionOfPlan } from '../../pipeline/assignment.ts';
import { programOf } from '../../partition/exchange.ts';
import type { LayerState } from '../../ports/compute.ts';
import type { RunRecord } from './record.ts';
import { decodeLayer } from '../taking-part/shelf.ts';

/**
 * The state of all layers of the room's model, in order, each in as many pieces as there are peers that hold some of it. Rejects
 * with a message for people where there is no model yet or a piece cannot be had.
 */
export async function collectModel(
  { config, plan }: RunRecord,
  fetch: (holder: PeerId, layer: string) => Promise<Uint8Array | undefined>,
): Promise<{ config: RunConfig; layers: LayerState[] }> {
  if (!config || !plan) throw new Error('There is no trained model in this room yet.');
  const partition = partitionOfPlan(plan, config);
  const holds = plan.stages.flatMap(({ lanes }, stage) =>
    lanes.map((peer, lane) => {
      const ops = programOf(partition, stage, lane).segments.flatMap((segment) => segment.ops);
      return { peer, layers: new Set(ops.filter((op) => op.parameters.length > 0).map((op) => op.layer)) };
    }),
  );
  const states: LayerState[] = [];
  for (const { name } of config.model.layers) {
    const parameters = modelGraph(config.model)
      .nodes.filter((node) => node.layer === name)
      .flatMap((node) => node.parameters);
    if (parameters.length === 0) states.push({ layer: name, updates: 0, parameters: [], optimizer: [] });
    for (const { peer, layers } of holds) {
      if (!layers.has(name)) continue;
      const bytes = await fetch(peer, name);
      if (!bytes) throw new Error(`Nobody holds this part of layer ${name} any more.`);
      states.push(decodeLayer(bytes, name, parameters));
    }
  }
  return { config, layers: states };
}
