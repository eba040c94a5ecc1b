import type { LayerSpec } from '../../../shared/model.ts';
import { dense } from './dense.ts';
import type { LayerKind } from './layer.ts';

export type { Layer, LayerKind } from './layer.ts';

/** Every kind of layer that a block can hold. A new kind is a file next to this one and a line here. */
const KINDS: { [Kind in LayerSpec['kind']]: LayerKind<Extract<LayerSpec, { kind: Kind }>> } = { dense };

/** Throws for a kind that this version does not know (plans come from other peers). */
export function layerKind(spec: LayerSpec): LayerKind {
  if (!Object.hasOwn(KINDS, spec.kind))
    throw new Error(`Layer ${spec.name}: kind "${spec.kind}" is unknown.`);
  return KINDS[spec.kind];
}
