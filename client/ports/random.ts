/** Randomness that need not be equal on all peers (ids, back-off jitter); seeded in the simulation. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}
