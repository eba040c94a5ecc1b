import { LIMITS } from '../../../shared/limits.ts';
import type { PeerReport, Scores } from '../../../shared/schema/control.ts';
import { entriesOf, pieceShape } from '../../model/pieces.ts';
import type { Assignment } from '../../pipeline/assignment.ts';
import type { Importance, MemoryUse } from '../../ports/compute.ts';

/** What a block holds: its layers, and every parameter with the shape of what is here of it. */
export function blockReport({ block }: Assignment): PeerReport['blocks'][number] {
  const ops = block.segments
    .flatMap((segment) => segment.ops)
    .filter(({ parameters }) => parameters.length > 0);
  const side = (register: number) => {
    const { shape, held } = block.registers[register];
    return { held, order: block.orders.find(({ space }) => space === shape.space)?.units ?? null };
  };
  const parameters = ops.flatMap((op) =>
    op.parameters.map((parameter) => ({
      name: parameter.name,
      shape: pieceShape(parameter.shape, entriesOf(parameter, side(op.inputs[0]), side(op.output))),
    })),
  );
  return { layers: [...new Set(ops.map(({ layer }) => layer))], parameters };
}

/** What was measured of units, as much as one message takes. */
export function scoresOf(measured: readonly Importance[]): Scores[] {
  let left = LIMITS.run.scoresSent;
  const taken: Scores[] = [];
  for (const { space, held, scores } of measured) {
    if (scores.length > LIMITS.run.orderedUnits || scores.length > left) continue;
    left -= scores.length;
    taken.push({
      space,
      start: held[0],
      scores: [...scores].map((score) => (Number.isFinite(score) ? score : 0)),
    });
  }
  return taken;
}

/** A peer that stands by holds no tensors. */
export const NO_MEMORY: MemoryUse = {
  tensors: 0,
  bytes: 0,
  peakBytes: 0,
  accounted: { parametersBytes: 0, gradientsBytes: 0, optimizerBytes: 0, activationsBytes: 0 },
};
