/** Stops what was set; stopping twice is harmless. */
export type Cancel = () => void;

/** Time as the engine sees it: real in browsers, virtual in the simulation. */
export interface Clock {
  /** Milliseconds on a clock that never goes back; the same epoch for all peers of one machine (needed for traces only). */
  now(): number;
  /** Calls `action` once, `delayMs` from now. */
  after(delayMs: number, action: () => void): Cancel;
}
