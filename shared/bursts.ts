/**
 * Losses that come in rows: a channel of two states, of which the bad one loses everything (Gilbert 1960, Elliott 1963).
 * @param turn uniform in [0, 1)
 * @param share of all that is lost in the mean, between 0 and 1
 * @param burst how many are lost in a row, in the mean; at least `shortestBurst(share)`
 */
export function isLostNext(wasLost: boolean, turn: number, share: number, burst: number): boolean {
  return wasLost ? turn >= 1 / burst : turn < Math.min(1, share / (burst * (1 - share)));
}

/** Losses in a row on average cannot be fewer than chance alone makes them. */
export const shortestBurst = (share: number): number => (share === 1 ? 1 : Math.max(1, share / (1 - share)));
