import type { PeerId } from '../../../shared/ids.ts';
import type { Quality } from '../../../shared/schema/control.ts';

/** The measured quality of one link, both directions taken together. */
export interface LinkQuality extends Quality {
  a: PeerId;
  b: PeerId;
}

/** Bytes of the message whose expected transfer time is a link's length. */
export const REFERENCE_MESSAGE_BYTES = 64 * 1024;

/**
 * Expected time to move one message over a link, in ms: ETX * bytes / goodput + RTT / 2, where ETX = 1 / (1 - loss)^2
 * (De Couto et al., MobiCom 2003: a message and its acknowledgement must both arrive).
 */
export function transferMs({ rttMs, loss, goodput }: Quality): number {
  const arrives = Math.max(1 - loss, 0.01);
  return (1 / arrives ** 2) * (REFERENCE_MESSAGE_BYTES / goodput) * 1000 + rttMs / 2;
}

/**
 * Closeness centrality of every peer, 1/ms, on shortest paths of expected transfer time, in the form of Wasserman and
 * Faust, which stays comparable when the graph is split: C(u) = (n-1)/(N-1) * (n-1) / sum of distances, n the number of
 * peers that u reaches (itself included), N all peers. A peer alone has centrality 0.
 */
export function centralities(peers: readonly PeerId[], links: readonly LinkQuality[]): Map<PeerId, number> {
  const index = new Map(peers.map((peer, i) => [peer, i]));
  const distance = peers.map((_, i) => peers.map((__, j) => (i === j ? 0 : Infinity)));
  for (const link of links) {
    const i = index.get(link.a);
    const j = index.get(link.b);
    if (i === undefined || j === undefined) continue;
    distance[i][j] = distance[j][i] = Math.min(distance[i][j], transferMs(link));
  }
  shortestPaths(distance);
  return new Map(peers.map((peer, i) => [peer, closeness(distance[i])]));
}

/** The peer with the highest centrality; ties go to the lower id. */
export function mostCentral(centrality: ReadonlyMap<PeerId, number>): PeerId {
  const ranked = rank(centrality);
  if (ranked.length === 0) throw new Error('Nobody is in the room.');
  return ranked[0];
}

/** Peers from most to least central; ties by id. */
export function rank(centrality: ReadonlyMap<PeerId, number>): PeerId[] {
  return [...centrality].sort(([a, ca], [b, cb]) => cb - ca || (a < b ? -1 : 1)).map(([peer]) => peer);
}

function closeness(distances: readonly number[]): number {
  const reached = distances.filter((d) => d > 0 && d < Infinity);
  if (reached.length === 0) return 0;
  const sum = reached.reduce((total, d) => total + d, 0);
  return (reached.length / (distances.length - 1)) * (reached.length / sum);
}

/** Floyd and Warshall, in place. */
function shortestPaths(distance: number[][]): void {
  const n = distance.length;
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        distance[i][j] = Math.min(distance[i][j], distance[i][k] + distance[k][j]);
      }
    }
  }
}
