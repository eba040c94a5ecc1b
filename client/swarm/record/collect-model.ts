import type { PeerId } from '../../../shared/ids.ts';
import type { RunConfig } from '../../../shared/schema/config.ts';
import { modelShapes } from '../../model/shapes.ts';
import type { LayerState } from '../../ports/compute.ts';
import type { RunRecord } from './record.ts';
import { decodeLayer } from '../taking-part/shelf.ts';

/**
 * The state of all layers of the room's model, in order, each fetched from the peer that holds it. Rejects with a message
 * for people where there is no model yet or a layer cannot be had.
 */
export async function collectModel(
  { config, plan }: RunRecord,
  fetch: (holder: PeerId, layer: string) => Promise<Uint8Array | undefined>,
): Promise<{ config: RunConfig; layers: LayerState[] }> {
  if (!config || !plan) throw new Error('There is no trained model in this room yet.');
  const layers: LayerState[] = [];
  for (const shape of modelShapes(config.model)) {
    const layer = shape.spec.name;
    const holder = plan.stages.find((stage) => stage.layers.includes(layer))?.lanes[0].peer;
    const bytes = holder && (await fetch(holder, layer));
    if (!bytes) throw new Error(`Nobody holds layer ${layer} any more.`);
    layers.push(decodeLayer(bytes, shape));
  }
  return { config, layers };
}
