import type { PeerId } from '../../shared/ids.ts';
import type { RunConfig } from '../../shared/schema/config.ts';
import type { Plan, Source, Stage, Term } from '../../shared/schema/plan.ts';
import { modelShapes, sizeOf, type LayerShape } from '../model/shapes.ts';
import { planVertical, type Device, type TransferTime } from './vertical.ts';

export interface PlanRequest {
  term: Term;
  version: number;
  run: number;
  startStep: number;
  endStep: number;
  config: RunConfig;
  /** Peers that take a block, with their measured cost per layer. */
  devices: readonly Device[];
  /** Everybody in the room, for standing by and for keeping data. */
  peers: readonly PeerId[];
  /** Who holds the current state of a layer; layers without a holder start from the seed. */
  holders: ReadonlyMap<string, PeerId>;
  transferTime: TransferTime;
}

/** The plan for a run: who holds which layers, where their state comes from. Throws a message for people if nobody can. */
export function makePlan(request: PlanRequest): Plan {
  const { config, devices } = request;
  if (devices.length === 0) throw new Error('No peer takes a block: everybody declined.');
  const shapes = modelShapes(config.model);
  const rows = config.batch / config.microBatches;
  const boundaryBytes = shapes.map((shape) => rows * sizeOf(shape.outputShape) * 4);
  const placement = planVertical(devices, boundaryBytes, request.transferTime);
  const stages = placement.order.map((peer, s) =>
    oneLane(peer, shapes.slice(placement.starts[s], placement.starts[s + 1] ?? shapes.length)),
  );
  const holding = new Set(placement.order);
  return {
    term: request.term,
    version: request.version,
    run: request.run,
    startStep: request.startStep,
    endStep: request.endStep,
    stages,
    boundaries: placement.starts.slice(1).map((start) => ({
      kind: 'gather' as const,
      width: sizeOf(shapes[start].inputShape),
    })),
    sources: shapes.map((shape) => sourceOf(shape, request.holders)),
    standby: request.peers.filter((peer) => !holding.has(peer)),
    dataHomes: [...request.peers],
    predicted: {
      // Synchronous 1F1B: (m + S - 1) slots of the slowest stage; transfers hide behind it except on the way in and out.
      stepMs: Math.min(
        (config.microBatches + stages.length - 1) * placement.bottleneckMs + placement.trafficMs,
        1e9,
      ),
      stageMs: placement.stageMs,
    },
  };
}

const allUnits = (shape: LayerShape): [number, number] => [0, shape.outputShape.at(-1)!];

function oneLane(peer: PeerId, shapes: readonly LayerShape[]): Stage {
  const units = Object.fromEntries(shapes.map((shape) => [shape.spec.name, allUnits(shape)]));
  return { layers: shapes.map((shape) => shape.spec.name), lanes: [{ peer, units }] };
}

function sourceOf(shape: LayerShape, holders: ReadonlyMap<string, PeerId>): Source {
  return { layer: shape.spec.name, units: allUnits(shape), from: holders.get(shape.spec.name) ?? 'seed' };
}
