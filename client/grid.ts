import { LIMITS } from '../shared/limits.ts';
import type { RunConfig } from '../shared/schema/config.ts';

type Grid = NonNullable<RunConfig['grid']>;

export const gridText = ({ stages, lanes }: Grid): string => `${stages}x${lanes}`;

/** Reads `2x3`, stages by lanes, or `auto`. Throws a message for people, without a subject. */
export function readGrid(text: string): Grid | null {
  const word = text.trim().toLowerCase();
  if (word === 'auto') return null;
  const [, stages, lanes] = /^(\d+)\s*[x×]\s*(\d+)$/.exec(word)?.map(Number) ?? [];
  const isPossible = stages >= 1 && stages <= LIMITS.room.peers && lanes >= 1 && lanes <= LIMITS.room.peers;
  if (isPossible) return { stages, lanes };
  throw new Error(
    `wants stages x lanes such as 2x2, each from 1 to ${LIMITS.room.peers}, or auto, not "${text}".`,
  );
}

/** Why so few peers cannot make up a grid, and what to do; null where they can. Without a subject. */
export function gridShortage(grid: Grid | null, peers: number): string | null {
  const needed = grid ? grid.stages * grid.lanes : 0;
  if (!grid || needed <= peers) return null;
  const short = `${gridText(grid)} needs ${needed} peers, but ${peers} ${peers === 1 ? 'is' : 'are'} here`;
  return needed > LIMITS.room.peers
    ? `${short} and a room takes ${LIMITS.room.peers} at most: choose a smaller grid`
    : `${short}: let ${needed - peers} more join, or choose a smaller grid`;
}

/** What else than the grid does not fit it; null where all is well. Without a subject. */
export function gridComplaint({ partition, grid }: Pick<RunConfig, 'partition' | 'grid'>): string | null {
  if (!grid) return null;
  const { stages, lanes } = grid;
  const shown = gridText(grid);
  if (partition === 'vertical' && lanes > 1) {
    return `${shown} has ${lanes} lanes, but a vertical partition has stages alone: ${stages * lanes}x1`;
  }
  if (partition === 'horizontal' && stages > 1) {
    return `${shown} has ${stages} stages, but a horizontal partition has lanes alone: 1x${stages * lanes}`;
  }
  if (partition === 'hybrid' && (stages === 1 || lanes === 1)) {
    const pure = lanes === 1 ? 'vertical' : 'horizontal';
    return `${shown} is a ${pure} partition, not a hybrid one`;
  }
  return null;
}
